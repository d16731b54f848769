//! Scripts: their exact text, and that no part of them can become a command.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use ipxe::{CmdlineError, Initrd, InvalidUrl, NetworkBoot, Script, ScriptError, Url};
use proptest::prelude::*;

fn boot(cmdline: &str) -> NetworkBoot {
    NetworkBoot {
        kernel: Url::new("http://192.0.2.1:8080/files/vmlinuz").unwrap(),
        initrds: vec![Initrd {
            name: "initrd".into(),
            url: Url::new("http://192.0.2.1:8080/files/initrd.gz").unwrap(),
        }],
        cmdline: cmdline.parse().unwrap(),
        again: Some(Url::new("http://192.0.2.1:8080/boot/52:54:00:00:00:01.ipxe").unwrap()),
    }
}

#[test]
fn network_boot_as_text() {
    let script = Script::network_boot(&boot("console=ttyS0 quiet")).unwrap();
    let expected = "#!ipxe\n\
        set attempt:int32 0\n\
        :fetch\n\
        imgfree\n\
        kernel --name kernel http://192.0.2.1:8080/files/vmlinuz console=ttyS0 quiet initrd=initrd BOOTIF=${mac} || goto failed\n\
        initrd --name initrd http://192.0.2.1:8080/files/initrd.gz || goto failed\n\
        boot || goto failed\n\
        :failed\n\
        echo Boot failed, trying again\n\
        sleep 3\n\
        inc attempt\n\
        iseq ${attempt} 3 || goto fetch\n\
        imgfree\n\
        chain --replace http://192.0.2.1:8080/boot/52:54:00:00:00:01.ipxe ||\n\
        sleep 10\n\
        reboot\n";
    assert_eq!(script.as_str(), expected);
    let bare = NetworkBoot { initrds: vec![], again: None, ..boot("") };
    assert!(Script::network_boot(&bare).unwrap().as_str().contains("vmlinuz BOOTIF=${mac} || goto"));
}

#[test]
fn local_disk_as_text() {
    assert_eq!(
        Script::local_disk().as_str(),
        "#!ipxe\niseq ${platform} efi && goto exit ||\nsanboot --no-describe --drive 0x80 ||\n:exit\nexit 1\n"
    );
    assert_eq!(Script::leave().as_str(), "#!ipxe\nexit 1\n");
}

#[test]
fn names_and_lengths_are_checked() {
    for name in ["", "a b", "-x", "a\nb", "${x}", "a;b", "a/b"] {
        let mut bad = boot("");
        bad.initrds[0].name = name.into();
        assert_eq!(Script::network_boot(&bad), Err(ScriptError::InitrdName(name.into())));
    }
    let long = boot(&format!("k={}", "v".repeat(2040)));
    assert!(matches!(Script::network_boot(&long), Err(ScriptError::TooLong(CmdlineError::TooLong(_)))));
    assert!(matches!(Script::network_boot(&boot("a=${b}")), Err(ScriptError::Cmdline(_))));
}

#[test]
fn urls_are_one_word() {
    for good in ["http://h/a%20b?c=d&e=f", "https://[fd22::1]:8080/x", "tftp://192.0.2.1/a.b"] {
        assert_eq!(Url::new(good).unwrap().as_str(), good);
    }
    for bad in [
        "http://h/a b",
        "http://h/${x}",
        "http://h/a\nb",
        "http://h/#a",
        "http://h/'",
        "http://h/\\",
        "http://h/é",
    ] {
        assert!(matches!(Url::new(bad), Err(InvalidUrl::Character(_))), "{bad}");
    }
    for bad in ["", "/a", "file:///etc/passwd", "http://", "http:///a", "HTTP://h"] {
        assert!(matches!(Url::new(bad), Err(InvalidUrl::Scheme(_))), "{bad}");
    }
    assert!(matches!(Url::new(format!("http://h/{}", "a".repeat(1024))), Err(InvalidUrl::TooLong(_))));
}

proptest! {
    /// Whatever kernel parameters say, a script has the same lines and each begins as it should.
    #[test]
    fn parameters_never_become_commands(text in "[ -~]{0,60}") {
        let Ok(cmdline) = text.parse() else { return Ok(()) };
        let Ok(script) = Script::network_boot(&NetworkBoot { cmdline, ..boot("") }) else { return Ok(()) };
        let plain = Script::network_boot(&boot("")).unwrap();
        prop_assert_eq!(script.as_str().lines().count(), plain.as_str().lines().count());
        for (got, expected) in script.as_str().lines().zip(plain.as_str().lines()) {
            if !got.starts_with("kernel ") {
                prop_assert_eq!(got, expected);
                continue;
            }
            let operators: Vec<_> =
                got.split(' ').filter(|word| matches!(*word, "&&" | "||" | ";") || word.starts_with('#')).collect();
            prop_assert_eq!(operators, ["||"]);
            prop_assert_eq!(got.matches("${").count(), 1);
            prop_assert!(got.ends_with(" BOOTIF=${mac} || goto failed"), "{}", got);
        }
    }
}
