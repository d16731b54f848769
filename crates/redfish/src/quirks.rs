//! What is known of particular BMCs beforehand, as one table. What can be learnt from a BMC's own answers (allowable
//! values, refusals) is not here.

/// How a BMC wants to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Boot changes must carry mode, frequency and target together; parts are ignored without an error.
    pub full_boot_object: bool,
    /// A lasting boot override is accepted and then used for one boot only, or not at all.
    pub no_lasting_override: bool,
}

/// Text that occurs in the vendor or manufacturer, in lower case, and what follows.
const TABLE: &[(&str, Quirks)] = &[
    ("asrockrack", Quirks { full_boot_object: true, no_lasting_override: false }),
    ("american megatrends", Quirks { full_boot_object: true, no_lasting_override: false }),
    ("ami", Quirks { full_boot_object: true, no_lasting_override: false }),
    ("supermicro", Quirks { full_boot_object: true, no_lasting_override: false }),
    // XClarity controllers know Once and Disabled only.
    ("lenovo", Quirks { full_boot_object: false, no_lasting_override: true }),
];

impl Quirks {
    /// What is known of a BMC whose service root or system says one of `names`.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut quirks = Self::default();
        for name in names {
            let name = name.to_ascii_lowercase();
            // Short names must be whole words: "ami" is no part of "Tsunami".
            let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
            for (text, row) in TABLE {
                if (text.len() > 3 && name.contains(text)) || words().any(|word| word == *text) {
                    quirks.full_boot_object |= row.full_boot_object;
                    quirks.no_lasting_override |= row.no_lasting_override;
                }
            }
        }
        quirks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_as_whole_words() {
        assert!(Quirks::of(["AMI"]).full_boot_object);
        assert!(Quirks::of(["Super Micro", "Supermicro"]).full_boot_object);
        assert!(Quirks::of(["Lenovo"]).no_lasting_override);
        assert_eq!(Quirks::of(["Tsunami Systems", "Dell Inc."]), Quirks::default());
    }
}
