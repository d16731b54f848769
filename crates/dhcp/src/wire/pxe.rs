//! PXE's own options inside DHCP option 43 (Preboot Execution Environment 2.1, table 2-1).

/// Discovery control (6), bit 3: "if a boot file name is present, download it: no prompt, no menu, no discovery".
/// The other bits forbid broadcast (0) and multicast (1) discovery of boot servers.
const USE_THE_FILE_NAMED: u8 = 0b1011;
const DISCOVERY_CONTROL: u8 = 6;
/// The boot server and layer that the client chose (71): 2 bytes type, 2 bytes layer.
const BOOT_ITEM: u8 = 71;
const END: u8 = 255;

/// What a proxy answers: "take the file I name", and the client's own boot item, if it had chosen one.
pub(crate) fn answer(boot_item: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = vec![DISCOVERY_CONTROL, 1, USE_THE_FILE_NAMED];
    if let Some(item) = boot_item {
        out.extend([BOOT_ITEM, 4]);
        out.extend(item);
    }
    out.push(END);
    out
}

/// The boot item in a client's option 43. Anything malformed reads as none.
pub(crate) fn boot_item(mut field: &[u8]) -> Option<[u8; 4]> {
    while let Some((&code, rest)) = field.split_first() {
        match code {
            0 => field = rest,
            END => return None,
            _ => {
                let (&length, rest) = rest.split_first()?;
                let (value, rest) = rest.split_at_checked(usize::from(length))?;
                if code == BOOT_ITEM {
                    return value.try_into().ok();
                }
                field = rest;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_item_goes_around() {
        assert_eq!(boot_item(&answer(Some([0, 15, 0, 1]))), Some([0, 15, 0, 1]));
        assert_eq!(answer(None), [6, 1, 11, 255]);
        for malformed in [&[71, 4, 0][..], &[71], &[71, 2, 0, 0], &[0, 0, 255, 71, 4, 1, 2, 3, 4], &[]] {
            assert_eq!(boot_item(malformed), None, "{malformed:?}");
        }
    }
}
