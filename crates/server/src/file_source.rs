//! The files that machines may fetch: the deploy ramdisk and verified images, nothing else.

use std::net::IpAddr;
use std::path::PathBuf;

use disk_image::Checksum;
use images::ImageCache;
use netboot::{Area, FileContent, FileSource, ServedFile};

use crate::site::{KERNEL_FILE, RAMDISK_FILE};

/// Kernel, ramdisk, and the image cache.
#[derive(Debug)]
pub(crate) struct SiteFiles {
    pub(crate) kernel: Option<PathBuf>,
    pub(crate) ramdisk: Option<PathBuf>,
    pub(crate) images: ImageCache,
}

impl FileSource for SiteFiles {
    fn open(&self, area: Area, name: &str, _client: IpAddr) -> Option<ServedFile> {
        match area {
            Area::Files => {
                let path = match name {
                    KERNEL_FILE => self.kernel.clone(),
                    RAMDISK_FILE => self.ramdisk.clone(),
                    _ => None,
                };
                path.map(|path| ServedFile { content: FileContent::Path(path), etag: None })
            }
            Area::Images => {
                let checksum = Checksum::by_length(name).ok()?;
                let image = self.images.find(&checksum)?;
                // Opened here: the cache may drop the name while the machine still reads.
                let file = std::fs::File::open(image.path()).ok()?;
                Some(ServedFile {
                    content: FileContent::File(file.into()),
                    etag: Some(image.key().to_owned()),
                })
            }
        }
    }
}
