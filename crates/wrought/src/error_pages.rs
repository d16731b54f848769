//! The pages of `docs/errors`, in the binary.

use anyhow::Context as _;

/// Code and page, in the order of the codes.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The page of a code, in any case.
pub(crate) fn page(code: &str) -> anyhow::Result<&'static str> {
    let found = PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    found
        .map(|(_, page)| *page)
        .with_context(|| format!("there is no error {code}: a code is E and four digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_in_the_binary() {
        for code in provision::ErrorCode::ALL {
            assert!(page(&code.as_str().to_lowercase()).unwrap().starts_with(&format!("# {code}: ")));
        }
        assert!(page("E9999").is_err());
    }
}
