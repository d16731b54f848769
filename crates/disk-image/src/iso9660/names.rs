//! Names: which are allowed, and the 8.3 names of the primary hierarchy, which nobody with Joliet or Rock Ridge sees.

use std::collections::HashSet;

use super::{MAX_NAME, Node};

/// 1 to 64 of the portable characters, and not a name with a meaning of its own.
pub(super) fn is_valid(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !matches!(name, "." | "..") && (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed)
}

/// Gives every node a short name that is unique in its directory.
pub(super) fn assign_short(nodes: &mut [Node]) {
    for directory in 0..nodes.len() {
        let mut taken = HashSet::new();
        for child in nodes[directory].children.clone() {
            let is_file = nodes[child].path.is_some();
            let short = (0..).map(|attempt| shortened(&nodes[child].name, is_file, attempt));
            let short = short.into_iter().find(|short| taken.insert(short.clone())).unwrap_or_default();
            nodes[child].short = short;
        }
    }
}

/// `meta_data.json` is `META_DAT.JSO;1`, then `META_D_1.JSO;1` and so on.
fn shortened(name: &str, is_file: bool, attempt: u32) -> String {
    let clean = |text: &str, most: usize| -> String {
        let upper =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        upper.take(most).collect()
    };
    let (base, extension) = match name.rsplit_once('.').filter(|_| is_file) {
        Some((base, extension)) => (base, clean(extension, 3)),
        None => (name, String::new()),
    };
    let mut base = clean(base, 8);
    if attempt > 0 {
        let tail = format!("_{attempt}");
        base.truncate(8 - tail.len().min(8));
        base.push_str(&tail);
    }
    if is_file { format!("{base}.{extension};1") } else { base }
}
