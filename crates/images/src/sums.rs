//! Checksum files: what a server publishes beside its images, in the shapes that are about. Does not fetch them.

use disk_image::Checksum;

/// Finds the digest of `file_name` in the text of a checksum file.
///
/// Understood: `HEX  name` and `HEX *name` (GNU coreutils), `SHA256 (name) = HEX` (BSD), and a file that holds
/// one digest and nothing else. Other lines (signatures, comments) are passed over. Of several digests for the
/// name the strongest is taken.
pub(crate) fn find(text: &str, file_name: &str) -> Option<Checksum> {
    let listed = text.lines().filter_map(parse_line);
    let named = listed.filter(|(_, name)| base_name(name) == file_name).map(|(digest, _)| digest);
    // The longer digest is the stronger one.
    named.max_by_key(|digest| digest.algorithm.hex_len()).or_else(|| Checksum::by_length(text).ok())
}

/// A line as digest and name.
fn parse_line(line: &str) -> Option<(Checksum, &str)> {
    bsd_line(line).or_else(|| gnu_line(line))
}

fn gnu_line(line: &str) -> Option<(Checksum, &str)> {
    let (hex, rest) = line.trim().split_once(char::is_whitespace)?;
    let name = rest.trim_start();
    Some((Checksum::by_length(hex).ok()?, name.strip_prefix('*').unwrap_or(name)))
}

fn bsd_line(line: &str) -> Option<(Checksum, &str)> {
    let (algorithm, rest) = line.trim().split_once(" (")?;
    let (name, hex) = rest.rsplit_once(") = ")?;
    // Some write SHA-256, some SHA256.
    Some((Checksum::new(&algorithm.replace('-', ""), hex).ok()?, name))
}

fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use disk_image::Algorithm;

    use super::*;

    fn hex(digit: &str) -> String {
        digit.repeat(64)
    }

    #[test]
    fn the_line_with_the_name_counts() {
        let (one, two, three) = (hex("1"), hex("2"), hex("3"));
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{one}  other.qcow2\n{two} *./dir/disk.qcow2\n\
             SHA256 (disk.raw) = {three}\n"
        );
        assert_eq!(find(&text, "disk.qcow2").unwrap().hex, two);
        assert_eq!(find(&text, "disk.raw").unwrap().hex, three);
        assert!(find(&text, "disk").is_none());
        assert!(find(&text, "disk.qcow2.old").is_none());
    }

    #[test]
    fn a_lone_digest_is_for_whatever_was_asked() {
        assert_eq!(find(&format!("  {}\n", hex("a")), "x").unwrap().hex, hex("a"));
        assert!(find(&format!("{}\n{}\n", hex("a"), hex("b")), "x").is_none(), "two are ambiguous");
        assert!(find("", "x").is_none());
    }

    #[test]
    fn the_strongest_of_several_wins() {
        let text = format!(
            "MD5 (d) = {}\nSHA512 (d) = {}\nSHA256 (d) = {}\n",
            "0".repeat(32),
            "5".repeat(128),
            hex("2")
        );
        assert_eq!(find(&text, "d").unwrap().algorithm, Algorithm::Sha512);
    }
}
