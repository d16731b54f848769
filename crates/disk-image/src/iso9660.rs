//! ISO 9660 images (ECMA-119) with Joliet and Rock Ridge (RRIP 1.09), written in memory: what a config drive needs.
//! Deterministic: the same files give the same bytes. Does not read images and makes none that boot.

mod names;
mod record;
mod volume;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use thiserror::Error;

use record::Hierarchy;

/// Bytes in a sector, and in an ISO's logical block.
pub const SECTOR: usize = 2048;
/// Largest image made here.
pub const MAX_SIZE: usize = 512 << 20;
/// Joliet's limit on a name.
const MAX_NAME: usize = 64;
/// ECMA-119, 6.8.2.1: directories nest at most eight deep, the root included.
const MAX_DEPTH: usize = 8;
/// Far more than any config drive has; keeps directory numbers in 16 bits.
const MAX_NODES: usize = 4096;
/// System area, two volume descriptors and their terminator.
const FIRST_FREE: usize = 19;

/// Why an image cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IsoError {
    /// A path is empty, absolute, too deep, or has a name that is not 1 to 64 of `A-Z a-z 0-9 . _ -` (or is `.`, `..`).
    #[error("{path:?} is not a path for a file of an ISO image")]
    Path {
        /// The path.
        path: String,
    },
    /// A path is given twice, or is a directory of another one.
    #[error("{path:?} is in the image already")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// The volume name is not 1 to 16 of the characters of a name (Joliet has room for 16).
    #[error("{volume:?} is not a volume name")]
    Volume {
        /// The name.
        volume: String,
    },
    /// Too many files, or too many bytes.
    #[error("the files are too many or too large for an ISO image of {MAX_SIZE} bytes")]
    TooLarge,
}

/// Files to put into an image.
#[derive(Clone)]
pub struct Builder {
    volume: String,
    files: BTreeMap<String, Vec<u8>>,
}

/// Contents may be secrets: only paths and sizes are shown.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: BTreeMap<&String, usize> =
            self.files.iter().map(|(path, data)| (path, data.len())).collect();
        f.debug_struct("Builder").field("volume", &self.volume).field("files", &sizes).finish()
    }
}

impl Builder {
    /// An empty image with a volume name, e.g. `config-2`.
    pub fn new(volume: &str) -> Result<Self, IsoError> {
        if volume.len() > 16 || !names::is_valid(volume) {
            return Err(IsoError::Volume { volume: volume.chars().take(64).collect() });
        }
        Ok(Self { volume: volume.to_owned(), files: BTreeMap::new() })
    }

    /// Adds a file by its path, e.g. `openstack/latest/meta_data.json`; directories come by themselves.
    pub fn file(&mut self, path: &str, data: Vec<u8>) -> Result<&mut Self, IsoError> {
        let names: Vec<&str> = path.split('/').collect();
        if names.len() >= MAX_DEPTH || !names.iter().all(|name| names::is_valid(name)) {
            return Err(IsoError::Path { path: path.chars().take(256).collect() });
        }
        let below =
            |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        if self.files.keys().any(|other| other == path || below(other, path) || below(path, other)) {
            return Err(IsoError::Duplicate { path: path.to_owned() });
        }
        self.files.insert(path.to_owned(), data);
        Ok(self)
    }

    /// The image.
    pub fn build(&self) -> Result<Vec<u8>, IsoError> {
        let total: usize = self.files.values().map(|data| data.len().next_multiple_of(SECTOR)).sum();
        let mut tree = Tree::new(&self.files);
        if total > MAX_SIZE || tree.nodes.len() > MAX_NODES {
            return Err(IsoError::TooLarge);
        }
        names::assign_short(&mut tree.nodes);
        let mut next = FIRST_FREE;
        let mut layouts =
            [Hierarchy::Primary, Hierarchy::Joliet].map(|kind| Layout::new(kind, &tree, &mut next));
        let extents = place_files(&tree, &self.files, &mut next);
        for layout in &mut layouts {
            layout.extents.extend(&extents);
        }
        let mut image = vec![0; next * SECTOR];
        for layout in &layouts {
            layout.write(&tree, &mut image);
        }
        volume::write_descriptors(&mut image, &self.volume, &layouts, &tree);
        for (node, (extent, _)) in &extents {
            if let Some(data) = tree.nodes[*node].path.as_ref().and_then(|path| self.files.get(path)) {
                let at = *extent as usize * SECTOR;
                image[at..at + data.len()].copy_from_slice(data);
            }
        }
        Ok(image)
    }
}

/// Gives every file its place. Equal contents do not share one: some readers take such files for hard links and
/// hand out only the first.
fn place_files(
    tree: &Tree,
    files: &BTreeMap<String, Vec<u8>>,
    next: &mut usize,
) -> HashMap<usize, (u32, u32)> {
    let mut extents = HashMap::new();
    for (number, node) in tree.nodes.iter().enumerate() {
        let Some(data) = node.path.as_ref().and_then(|path| files.get(path)) else { continue };
        extents.insert(number, (narrow(*next), narrow(data.len())));
        *next += data.len().div_ceil(SECTOR);
    }
    extents
}

/// Sizes are below [`MAX_SIZE`] plus directories, so they fit.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A file or directory. Node 0 is the root.
#[derive(Debug)]
struct Node {
    name: String,
    /// Unique 8.3 name of the primary hierarchy.
    short: String,
    parent: usize,
    children: Vec<usize>,
    /// Of a file.
    path: Option<String>,
}

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    fn new(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let node = |name: &str, parent, path| Node {
            name: name.to_owned(),
            short: String::new(),
            parent,
            children: Vec::new(),
            path,
        };
        let mut nodes = vec![node("", 0, None)];
        for path in files.keys() {
            let mut at = 0;
            for name in path.split('/') {
                let known = nodes[at].children.iter().copied().find(|child| nodes[*child].name == name);
                at = known.unwrap_or_else(|| {
                    let number = nodes.len();
                    nodes.push(node(name, at, None));
                    nodes[at].children.push(number);
                    number
                });
            }
            nodes[at].path = Some(path.clone());
        }
        Self { nodes }
    }

    fn is_dir(&self, node: usize) -> bool {
        self.nodes[node].path.is_none()
    }
}

/// Where one of the two hierarchies puts its tables and directories, and where everything starts.
#[derive(Debug)]
struct Layout {
    kind: Hierarchy,
    /// Directories in the order of the path table: breadth first, by name below each parent.
    order: Vec<usize>,
    /// First sector and size in bytes of each node.
    extents: HashMap<usize, (u32, u32)>,
    /// Sectors of the little-endian and the big-endian path table, and their size in bytes.
    tables: (u32, u32, u32),
}

impl Layout {
    fn new(kind: Hierarchy, tree: &Tree, next: &mut usize) -> Self {
        let mut order = vec![0];
        let mut at = 0;
        while at < order.len() {
            let children = record::sorted_children(kind, tree, order[at]);
            order.extend(children.into_iter().filter(|child| tree.is_dir(*child)));
            at += 1;
        }
        let mut layout = Self { kind, order, extents: HashMap::new(), tables: (0, 0, 0) };
        let table = layout.path_table(tree, u32::to_le_bytes).len();
        let sectors = table.div_ceil(SECTOR);
        layout.tables = (narrow(*next), narrow(*next + sectors), narrow(table));
        *next += 2 * sectors;
        for directory in layout.order.clone() {
            let size = record::directory(&layout, tree, directory).len();
            layout.extents.insert(directory, (narrow(*next), narrow(size)));
            *next += size / SECTOR;
        }
        layout
    }

    fn extent(&self, node: usize) -> (u32, u32) {
        self.extents.get(&node).copied().unwrap_or((0, 0))
    }

    fn write(&self, tree: &Tree, image: &mut [u8]) {
        let mut put = |sector: u32, bytes: &[u8]| {
            let at = sector as usize * SECTOR;
            image[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(self.tables.0, &self.path_table(tree, u32::to_le_bytes));
        put(self.tables.1, &self.path_table(tree, u32::to_be_bytes));
        for directory in &self.order {
            put(self.extent(*directory).0, &record::directory(self, tree, *directory));
        }
    }

    /// ECMA-119, 9.4. `bytes` gives the byte order.
    fn path_table(&self, tree: &Tree, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let big = bytes(1) == [0, 0, 0, 1];
        let number: HashMap<usize, u16> = self.order.iter().copied().zip(1..).collect();
        let mut table = Vec::new();
        for directory in &self.order {
            let name = if *directory == 0 { vec![0] } else { record::name(self.kind, tree, *directory) };
            let parent = number.get(&tree.nodes[*directory].parent).copied().unwrap_or(1);
            // Names are at most 128 bytes.
            table.extend([u8::try_from(name.len()).unwrap_or(0), 0]);
            table.extend(bytes(self.extent(*directory).0));
            table.extend(if big { parent.to_be_bytes() } else { parent.to_le_bytes() });
            table.extend(&name);
            table.extend(vec![0; name.len() % 2]);
        }
        table
    }
}
