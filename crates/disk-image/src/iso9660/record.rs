//! Directory records (ECMA-119, 9.1) with their Rock Ridge fields (SUSP 1.09, RRIP 1.09).

use super::{Layout, SECTOR, Tree};

/// Which of the two trees in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// 8.3 names, with the real ones in Rock Ridge fields.
    Primary,
    /// UCS-2 names.
    Joliet,
}

/// The date of everything: 2000-01-01 00:00:00 UTC, in years since 1900, month, day, hour, minute, second, zone.
pub(super) const DATE: [u8; 7] = [100, 1, 1, 0, 0, 0, 0];

/// POSIX modes: a config drive may hold secrets, and who reads it at boot is root.
const DIRECTORY_MODE: u32 = 0o040_500;
const FILE_MODE: u32 = 0o100_400;

/// The identifier of a node other than the root.
pub(super) fn name(kind: Hierarchy, tree: &Tree, node: usize) -> Vec<u8> {
    match kind {
        Hierarchy::Primary => tree.nodes[node].short.clone().into_bytes(),
        Hierarchy::Joliet => {
            let version = if tree.is_dir(node) { "" } else { ";1" };
            let text = format!("{}{version}", tree.nodes[node].name);
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        }
    }
}

/// The children of a directory, by identifier.
pub(super) fn sorted_children(kind: Hierarchy, tree: &Tree, directory: usize) -> Vec<usize> {
    let mut children = tree.nodes[directory].children.clone();
    children.sort_by_key(|child| name(kind, tree, *child));
    children
}

/// The bytes of a directory: whole sectors, no record across two.
pub(super) fn directory(layout: &Layout, tree: &Tree, directory: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut push = |record: Vec<u8>| {
        let left = SECTOR - bytes.len() % SECTOR;
        if record.len() > left {
            bytes.resize(bytes.len() + left, 0);
        }
        bytes.extend(record);
    };
    let parent = tree.nodes[directory].parent;
    push(record(layout, tree, directory, &[0], &dot_fields(layout.kind, tree, directory, directory == 0)));
    push(record(layout, tree, parent, &[1], &dot_fields(layout.kind, tree, parent, false)));
    for child in sorted_children(layout.kind, tree, directory) {
        let fields = if layout.kind == Hierarchy::Primary { fields(tree, child) } else { Vec::new() };
        push(record(layout, tree, child, &name(layout.kind, tree, child), &fields));
    }
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    bytes
}

/// The root's record as a volume descriptor holds it.
pub(super) fn root(layout: &Layout, tree: &Tree) -> Vec<u8> {
    record(layout, tree, 0, &[0], &[])
}

fn record(layout: &Layout, tree: &Tree, node: usize, name: &[u8], system_use: &[u8]) -> Vec<u8> {
    let (extent, size) = layout.extent(node);
    let mut bytes = vec![0, 0];
    bytes.extend(both32(extent));
    bytes.extend(both32(size));
    bytes.extend(DATE);
    bytes.extend([if tree.is_dir(node) { 2 } else { 0 }, 0, 0]);
    bytes.extend(both16(1));
    // Names are at most 132 bytes, and the fields beside them at most 120.
    bytes.push(u8::try_from(name.len()).unwrap_or(0));
    bytes.extend(name);
    bytes.extend(vec![0; (name.len() + 1) % 2]);
    bytes.extend(system_use);
    bytes.extend(vec![0; bytes.len() % 2]);
    bytes[0] = u8::try_from(bytes.len()).unwrap_or(0);
    bytes
}

/// Rock Ridge fields of a directory's records for itself and its parent; the root's own announce the protocol.
fn dot_fields(kind: Hierarchy, tree: &Tree, node: usize, announce: bool) -> Vec<u8> {
    if kind == Hierarchy::Joliet {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    if announce {
        bytes.extend(b"SP\x07\x01\xbe\xef\x00");
    }
    bytes.extend(posix(tree, node));
    if announce {
        let (id, text) = (
            b"RRIP_1991A",
            b"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
        );
        let lengths = [8 + id.len() + text.len(), 1, id.len(), text.len(), 0, 1];
        bytes.extend(b"ER");
        bytes.extend(lengths.map(|length| u8::try_from(length).unwrap_or(0)));
        bytes.extend(id);
        bytes.extend(text);
    }
    bytes
}

fn fields(tree: &Tree, node: usize) -> Vec<u8> {
    let name = tree.nodes[node].name.as_bytes();
    let mut bytes = posix(tree, node);
    bytes.extend(b"NM");
    bytes.extend([u8::try_from(5 + name.len()).unwrap_or(0), 1, 0]);
    bytes.extend(name);
    bytes
}

/// PX: mode, links, owner, group.
fn posix(tree: &Tree, node: usize) -> Vec<u8> {
    let below = tree.nodes[node].children.iter().filter(|child| tree.is_dir(**child)).count();
    let (mode, links) =
        if tree.is_dir(node) { (DIRECTORY_MODE, 2 + super::narrow(below)) } else { (FILE_MODE, 1) };
    let mut bytes = b"PX\x24\x01".to_vec();
    for value in [mode, links, 0, 0] {
        bytes.extend(both32(value));
    }
    bytes
}

/// A number in both byte orders (ECMA-119, 7.3.3).
pub(super) fn both32(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_be_bytes());
    bytes
}

/// A number in both byte orders (ECMA-119, 7.2.3).
pub(super) fn both16(value: u16) -> [u8; 4] {
    let [low, high] = value.to_le_bytes();
    [low, high, high, low]
}
