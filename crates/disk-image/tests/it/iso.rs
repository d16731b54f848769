//! ISO images as `isoinfo`, `xorriso` and `bsdtar` read them.

use std::fs;

use disk_image::iso9660::{Builder, IsoError};
use disk_image::{Format, sniff};
use proptest::prelude::*;

use crate::tool::{run, text};

fn sample() -> Builder {
    let mut builder = Builder::new("config-2").unwrap();
    builder.file("openstack/latest/meta_data.json", b"{\"uuid\": 1}".to_vec()).unwrap();
    builder.file("openstack/latest/meta_data.json.backup-copy", vec![]).unwrap();
    builder.file("openstack/latest/user_data", vec![b'x'; 5000]).unwrap();
    builder.file("openstack/2012-08-10/user_data", vec![b'x'; 5000]).unwrap();
    builder.file("README", b"read me".to_vec()).unwrap();
    // More than one sector of records, and names that are equal when cut to 8.3.
    for number in 0..60 {
        let path = format!("many/a_rather_long_file_name_{number:02}.json");
        builder.file(&path, format!("{number}").into_bytes()).unwrap();
    }
    builder
}

#[test]
fn every_reader_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("iso");
    let image = sample().build().unwrap();
    assert_eq!(sniff(&image), Format::Iso);
    assert_eq!(image, sample().build().unwrap(), "deterministic");
    fs::write(&path, &image).unwrap();
    let info = run("isoinfo", &["-d", "-i", text(&path)]);
    assert!(info.contains("Volume id: config-2"), "{info}");
    assert!(
        info.contains("Joliet with UCS level 3 found")
            && info.contains("Rock Ridge signatures version 1 found"),
        "{info}"
    );
    for (flag, suffix) in [("-R", ""), ("-J", ";1")] {
        let listing = run("isoinfo", &[flag, "-f", "-i", text(&path)]);
        for expected in [
            "/openstack/latest/meta_data.json",
            "/openstack/2012-08-10/user_data",
            "/many/a_rather_long_file_name_59.json",
        ] {
            let found = listing.lines().any(|line| line.trim_end_matches(suffix) == expected);
            assert!(found, "{flag}: {expected} in {listing}");
        }
        let content = run(
            "isoinfo",
            &[flag, "-x", &format!("/openstack/latest/meta_data.json{suffix}"), "-i", text(&path)],
        );
        assert_eq!(content, "{\"uuid\": 1}");
    }
    let plain = run("isoinfo", &["-f", "-i", text(&path)]);
    let mut names: Vec<&str> = plain.lines().collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), count), (count, 69), "8.3 names are unique: {plain}");
    let found =
        run("xorriso", &["-abort_on", "WARNING", "-indev", text(&path), "-find", "/", "-exec", "report_lba"]);
    assert!(found.contains("'/openstack/latest/meta_data.json'") && found.contains("'config-2'"), "{found}");
    let tar = run("bsdtar", &["-xOf", text(&path), "many/a_rather_long_file_name_31.json"]);
    assert_eq!(tar, "31");
    let listing = run("bsdtar", &["-tvf", text(&path)]);
    assert!(listing.contains("-r--------") && listing.contains("dr-x------"), "{listing}");
}

#[test]
fn bad_names_are_refused() {
    let mut builder = sample();
    for path in
        ["", "/etc", "a//b", "../x", "a/./b", "sp ace", "umlaut-ä", "a/b/c/d/e/f/g/h", &"n".repeat(65)]
    {
        assert!(matches!(builder.file(path, vec![]), Err(IsoError::Path { .. })), "{path}");
    }
    for path in ["README", "README/x", "openstack", "openstack/latest"] {
        assert!(matches!(builder.file(path, vec![]), Err(IsoError::Duplicate { .. })), "{path}");
    }
    assert!(
        Builder::new("").is_err()
            && Builder::new("config 2").is_err()
            && Builder::new(&"v".repeat(17)).is_err()
    );
    builder.file("large", vec![0; 600 << 20]).unwrap();
    assert_eq!(builder.build(), Err(IsoError::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any set of files comes back out of the image by an independent reader.
    #[test]
    fn contents_survive(files in prop::collection::btree_map("[a-z][a-z0-9_.-]{0,20}(/[A-Z0-9_]{1,12}){0,3}", prop::collection::vec(any::<u8>(), 0..5000), 1..12)) {
        let mut builder = Builder::new("v").unwrap();
        let mut kept = Vec::new();
        for (path, data) in files {
            if builder.file(&path, data.clone()).is_ok() {
                kept.push((path, data));
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let iso = dir.path().join("iso");
        fs::write(&iso, builder.build().unwrap()).unwrap();
        run("bsdtar", &["-C", text(dir.path()), "-xf", text(&iso)]);
        for (path, data) in kept {
            prop_assert!(fs::read(dir.path().join(&path)).unwrap() == data, "{}", path);
        }
    }
}
