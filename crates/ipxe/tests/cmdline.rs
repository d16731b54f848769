//! Command lines: what is taken, what is refused, and that each serialization reads back the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use ipxe::{CmdlineError, KernelCmdline, MAX_CMDLINE, Param, Target};
use proptest::prelude::*;

fn line(text: &str) -> KernelCmdline {
    text.parse().unwrap()
}

#[test]
fn reads_as_the_kernel_does() {
    let cmdline =
        line(r#"  quiet console=ttyS0,115200n8  dyndbg="file a.c +p" "x=y z" empty= root=LABEL=a "#);
    let seen: Vec<_> = cmdline.params().iter().map(|param| (param.key(), param.value())).collect();
    assert_eq!(
        seen,
        [
            ("quiet", None),
            ("console", Some("ttyS0,115200n8")),
            ("dyndbg", Some("file a.c +p")),
            ("x", Some("y z")),
            ("empty", Some("")),
            ("root", Some("LABEL=a")),
        ]
    );
    assert_eq!(
        cmdline.to_string(),
        r#"quiet console=ttyS0,115200n8 dyndbg="file a.c +p" x="y z" empty= root=LABEL=a"#
    );
    assert_eq!(cmdline.len(), cmdline.to_string().len());
    assert_eq!(line("a=1 a=2").get("a"), Some("2"));
}

#[test]
fn control_characters_and_stray_quotes_are_refused() {
    for text in ["a\nb", "a\rb", "a\tb", "a\0b", "a\u{7f}b", "a=\u{1b}[2J", "naïve=1", "a=\u{2028}b"] {
        assert!(matches!(text.parse::<KernelCmdline>(), Err(CmdlineError::Character(_))), "{text:?}");
        assert!(matches!(Param::with_value("k", text), Err(CmdlineError::Value { .. })), "{text:?}");
        assert!(matches!(Param::flag(text), Err(CmdlineError::Key(_))), "{text:?}");
    }
    for text in ["a=\"b", "\"", "a=\"b\"c", "a=b\"c d\"", "a=\"b\"\"c\""] {
        assert!(text.parse::<KernelCmdline>().is_err(), "{text:?}");
    }
    for key in ["", "a b", "a=b", "a\"b"] {
        assert_eq!(Param::with_value(key, "v"), Err(CmdlineError::Key(key.into())));
    }
}

#[test]
fn length_is_bounded() {
    let mut cmdline = KernelCmdline::new();
    cmdline.set("k", "v".repeat(MAX_CMDLINE - 2)).unwrap();
    assert_eq!(cmdline.len(), MAX_CMDLINE);
    assert_eq!(cmdline.flag("x").unwrap_err(), CmdlineError::TooLong(MAX_CMDLINE + 2));
    assert!("x ".repeat(2000).parse::<KernelCmdline>().is_err());
}

#[test]
fn what_a_loader_would_change_is_refused() {
    let refused = [
        (Target::Ipxe, "a", "x && reboot"),
        (Target::Ipxe, "a", "x || shell"),
        (Target::Ipxe, "a", "x ; y"),
        (Target::Ipxe, "a", "${net0/mac}"),
        (Target::Ipxe, "a", "x #y"),
        (Target::Ipxe, "a", "x  y"),
        (Target::Ipxe, "a", " x"),
        (Target::Ipxe, "a", "x "),
        (Target::Ipxe, "#a", "x"),
        (Target::Ipxe, "a", "x\\"),
        (Target::Grub, "a", "it's"),
        (Target::Grub, "a", "b\\c"),
    ];
    for (target, key, value) in refused {
        let mut cmdline = KernelCmdline::new();
        cmdline.set(key, value).unwrap();
        let error = cmdline.serialize(target).expect_err(value);
        assert_eq!((error.target, error.key.as_str()), (target, key));
        cmdline.serialize(Target::Plain).unwrap();
    }
    for flag in ["&&", "||", ";"] {
        assert!(line(flag).serialize(Target::Ipxe).is_err(), "{flag}");
    }
    let fine = line("a=b;c d=x&&y e=#f g=$h i=\"j k\" l=;");
    assert_eq!(fine.serialize(Target::Ipxe).unwrap(), "a=b;c d=x&&y e=#f g=$h i=\"j k\" l=;");
    assert_eq!(fine.serialize(Target::Grub).unwrap(), "'a=b;c' 'd=x&&y' 'e=#f' 'g=$h' 'i=j k' 'l=;'");
}

/// What iPXE hands to the kernel for `kernel URL <line>`: words after expansion, or nothing if it would do anything else.
fn through_ipxe(line: &str) -> Option<String> {
    if line.contains('\n') || line.contains("${") || line.ends_with('\\') {
        return None;
    }
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    if words.iter().any(|word| matches!(*word, "&&" | "||" | ";") || word.starts_with('#')) {
        return None;
    }
    Some(words.join(" "))
}

/// What GRUB hands to the kernel for `linux FILE <line>`.
fn through_grub(line: &str) -> Option<String> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                open = true;
            }
            ' ' if !quoted => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            '$' | ';' | '&' | '|' | '#' | '<' | '>' | '{' | '}' | '(' | ')' | '"' | '\\' if !quoted => {
                return None;
            }
            other => word.push(other),
        }
    }
    if quoted {
        return None;
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    let kernel = words.iter().map(|word| {
        let escaped: String = word
            .chars()
            .flat_map(|c| ['\\'].into_iter().filter(move |_| "\\'\"".contains(c)).chain([c]))
            .collect();
        if word.contains(' ') { format!("\"{escaped}\"") } else { escaped }
    });
    Some(kernel.collect::<Vec<_>>().join(" "))
}

proptest! {
    #[test]
    fn any_text_parses_to_what_prints_the_same(text in "[ -~]{0,80}") {
        if let Ok(cmdline) = text.parse::<KernelCmdline>() {
            prop_assert_eq!(cmdline.to_string().parse::<KernelCmdline>().unwrap(), cmdline);
        }
    }

    #[test]
    fn each_loader_passes_on_what_was_meant(
        params in prop::collection::vec(("[!-~]{1,6}", prop::option::of("[ -~]{0,12}")), 0..5)
    ) {
        let mut cmdline = KernelCmdline::new();
        for (key, value) in params {
            let param = match value {
                Some(value) => Param::with_value(key, value),
                None => Param::flag(key),
            };
            if let Ok(param) = param {
                cmdline.push(param).unwrap();
            }
        }
        prop_assert_eq!(&cmdline.to_string().parse::<KernelCmdline>().unwrap(), &cmdline);
        if let Ok(text) = cmdline.serialize(Target::Ipxe) {
            let kernel = through_ipxe(&text).expect("iPXE would not take it for arguments");
            prop_assert_eq!(&kernel.parse::<KernelCmdline>().unwrap(), &cmdline);
        }
        if let Ok(text) = cmdline.serialize(Target::Grub) {
            let kernel = through_grub(&text).expect("GRUB would not take it for arguments");
            prop_assert_eq!(&kernel.parse::<KernelCmdline>().unwrap(), &cmdline);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<KernelCmdline>();
    }
}
