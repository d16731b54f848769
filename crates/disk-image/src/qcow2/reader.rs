//! A qcow2 image as the disk it holds: [`Read`] and [`Seek`] over guest bytes. Keeps one second-level table and
//! one decompressed cluster.

use std::io::{self, Read, Seek, SeekFrom};

use super::cluster::{Inflater, Mapping, entries, l2_offset};
use super::tables::read;
use super::{Header, Limits, Qcow2Error};
use crate::ReadAt;

/// The disk in a qcow2 image, read through a source that can be read at any offset.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    header: Header,
    l1: Vec<u64>,
    table: Option<(u64, Vec<u64>)>,
    inflater: Inflater,
    /// Guest cluster number and bytes of the last compressed cluster.
    cluster: Option<(u64, Vec<u8>)>,
    position: u64,
}

impl<S: ReadAt> Reader<S> {
    /// Reads and checks the header and the first-level table.
    pub fn new(mut source: S, limits: &Limits) -> Result<Self, Qcow2Error> {
        let mut head = vec![0; Header::HEAD_LEN];
        let count = source.fill_at(0, &mut head).map_err(|source| Qcow2Error::Read { offset: 0, source })?;
        let header = Header::parse(&head[..count], limits)?;
        let l1 = read(&mut source, header.l1_offset, header.l1_entries * 8, "first-level table")?;
        let l1 = entries(&l1).collect();
        let inflater =
            Inflater::new(header.compression).map_err(|source| Qcow2Error::Read { offset: 0, source })?;
        Ok(Self { source, header, l1, table: None, inflater, cluster: None, position: 0 })
    }

    /// The checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads guest bytes at `offset`, at most to the end of a cluster; 0 means the end of the disk.
    pub fn read_guest(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Qcow2Error> {
        let left = self.header.virtual_size.saturating_sub(offset);
        let size = self.header.cluster_size();
        let in_cluster = offset % size;
        let len = left.min(size - in_cluster).min(buffer.len() as u64);
        // Bounded by the buffer's length.
        let buffer = &mut buffer[..usize::try_from(len).unwrap_or(0)];
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.mapping(offset / size)? {
            Mapping::Zero => buffer.fill(0),
            Mapping::Data { offset: host } => self.read_host(host + in_cluster, buffer)?,
            Mapping::Compressed { offset: host, len } => {
                let bytes = self.decompressed(offset / size, host, len)?;
                let start = usize::try_from(in_cluster).unwrap_or(usize::MAX);
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            }
        }
        Ok(buffer.len())
    }

    fn mapping(&mut self, cluster: u64) -> Result<Mapping, Qcow2Error> {
        let index = cluster / self.header.l2_entries();
        if self.table.as_ref().is_none_or(|(have, _)| *have != index) {
            let entry =
                usize::try_from(index).ok().and_then(|index| self.l1.get(index)).copied().unwrap_or(0);
            let Some(offset) = l2_offset(entry, &self.header)? else { return Ok(Mapping::Zero) };
            let size = usize::try_from(self.header.cluster_size()).unwrap_or(usize::MAX);
            let bytes = read(&mut self.source, offset, size, "second-level table")?;
            self.table = Some((index, entries(&bytes).collect()));
        }
        let within = usize::try_from(cluster % self.header.l2_entries()).unwrap_or(usize::MAX);
        let entry = self.table.as_ref().and_then(|(_, table)| table.get(within)).copied().unwrap_or(0);
        Mapping::of(entry, &self.header)
    }

    /// A file may end inside its last cluster; what lacks reads as zeros, as in QEMU.
    fn read_host(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Qcow2Error> {
        let count =
            self.source.fill_at(offset, buffer).map_err(|source| Qcow2Error::Read { offset, source })?;
        if count == 0 && offset.is_multiple_of(self.header.cluster_size()) {
            return Err(Qcow2Error::Truncated { what: "data", end: offset });
        }
        buffer[count..].fill(0);
        Ok(())
    }

    fn decompressed(&mut self, cluster: u64, offset: u64, len: u32) -> Result<&[u8], Qcow2Error> {
        if self.cluster.as_ref().is_none_or(|(have, _)| *have != cluster) {
            let mut input = vec![0; len as usize];
            let count = self
                .source
                .fill_at(offset, &mut input)
                .map_err(|source| Qcow2Error::Read { offset, source })?;
            let (_, mut output) = self.cluster.take().unwrap_or_default();
            output.resize(usize::try_from(self.header.cluster_size()).unwrap_or(0), 0);
            self.inflater.cluster(&input[..count], &mut output, offset)?;
            self.cluster = Some((cluster, output));
        }
        Ok(self.cluster.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

impl<S: ReadAt> Read for Reader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_guest(self.position, buffer).map_err(io::Error::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<S: ReadAt> Seek for Reader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.header.virtual_size.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}
