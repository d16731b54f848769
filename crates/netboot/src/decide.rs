//! The boot decision: which file a client is named, from what it says of itself and what it is meant to boot.
//!
//! | client | ramdisk | local disk | nothing |
//! |---|---|---|---|
//! | iPXE | its script | its script | no file |
//! | BIOS PXE | `undionly.kpxe` by TFTP | no file | no file |
//! | UEFI PXE | `snponly.efi` (or its kin) by TFTP | no file | no file |
//! | UEFI HTTP boot | the same by HTTP | no file | no file |
//! | anything else | no file | no file | no file |

use std::net::SocketAddrV4;

use dhcp::{Architecture, ClientFacts, VendorClass};

use crate::loader::Loader;
use crate::source::BootTarget;

/// What a client is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootFile {
    /// No file: firmware goes on with its next boot device.
    None,
    /// A file of this name on our TFTP server.
    Tftp(&'static str),
    /// A URL.
    Url(String),
}

/// Decides. `http` is where machines reach our HTTP server.
pub fn decide(client: &ClientFacts, target: &BootTarget, http: SocketAddrV4) -> BootFile {
    match (client.ipxe, target) {
        (_, BootTarget::Nothing) | (false, BootTarget::LocalDisk) => BootFile::None,
        // Also for a local disk: the script knows better than a missing file how to leave iPXE.
        (true, _) => BootFile::Url(format!("http://{http}/boot/{}.ipxe", client.mac)),
        (false, BootTarget::Ramdisk(_)) => loader(client, http),
    }
}

fn loader(client: &ClientFacts, http: SocketAddrV4) -> BootFile {
    let Some((loader, over_http)) = loader_for(client) else { return BootFile::None };
    if over_http {
        BootFile::Url(format!("http://{http}/ipxe/{}", loader.file_name()))
    } else {
        BootFile::Tftp(loader.file_name())
    }
}

/// The name of the boot loader that fits firmware, whatever it is meant to boot; none for iPXE itself and for clients that
/// there is none for.
pub(crate) fn fitting_loader(client: &ClientFacts) -> Option<&'static str> {
    if client.ipxe { None } else { loader_for(client).map(|(loader, _)| loader.file_name()) }
}

/// The first boot loader for firmware that is not iPXE, and whether it is fetched by HTTP.
fn loader_for(client: &ClientFacts) -> Option<(Loader, bool)> {
    use Architecture as A;
    let http = match client.class {
        VendorClass::Pxe => false,
        VendorClass::Http => true,
        VendorClass::Other => return None,
    };
    // The class says what the firmware will do with the name; the number alone does not: some firmware sends the PXE
    // number with the HTTP class.
    let loader = match client.architecture {
        // Old ROMs send no number.
        None | Some(A::X86Bios) if !http => Loader::Undionly,
        // 9 is EBC by IANA's table, and what early UEFI firmware for x86-64 sends.
        Some(A::X64Uefi | A::Ebc | A::X64UefiHttp | A::EbcHttp) => Loader::SnponlyX64,
        Some(A::X86Uefi | A::X86UefiHttp) => Loader::SnponlyIa32,
        Some(A::Arm64Uefi | A::Arm64UefiHttp) => Loader::SnponlyArm64,
        _ => return None,
    };
    Some((loader, http))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dhcp::wire::code;
    use dhcp::{MessageType, Packet};

    use super::*;
    use crate::source::RamdiskBoot;

    const HTTP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 8080);

    /// A client by option 60, option 93 and whether it is iPXE.
    fn client(class: &str, architecture: Option<u16>, ipxe: bool) -> ClientFacts {
        let mut packet = Packet::request(1, [0x52, 0x54, 0, 0xab, 0, 1].into());
        packet.options.set(code::MESSAGE_TYPE, [MessageType::Discover as u8]);
        if !class.is_empty() {
            packet.options.set(code::VENDOR_CLASS, class);
        }
        if let Some(number) = architecture {
            packet.options.set(code::ARCHITECTURE, number.to_be_bytes());
        }
        if ipxe {
            packet.options.set(code::USER_CLASS, "iPXE");
        }
        ClientFacts::of(&packet).unwrap()
    }

    fn ramdisk() -> BootTarget {
        BootTarget::Ramdisk(RamdiskBoot {
            kernel_url_path: "/files/vmlinuz".into(),
            initrd_url_paths: vec![],
            cmdline: "".parse().unwrap(),
        })
    }

    #[test]
    fn a_ramdisk_by_firmware_family() {
        let script = || BootFile::Url("http://192.0.2.1:8080/boot/52:54:00:ab:00:01.ipxe".into());
        let http = |name: &str| BootFile::Url(format!("http://192.0.2.1:8080/ipxe/{name}"));
        let table = [
            ("BIOS", "PXEClient:Arch:00000:UNDI:002001", Some(0), false, BootFile::Tftp("undionly.kpxe")),
            ("BIOS, no number", "PXEClient", None, false, BootFile::Tftp("undionly.kpxe")),
            ("UEFI x64", "PXEClient:Arch:00007:UNDI:003001", Some(7), false, BootFile::Tftp("snponly.efi")),
            (
                "UEFI x64, number in the class only",
                "PXEClient:Arch:00007:UNDI:003000",
                None,
                false,
                BootFile::Tftp("snponly.efi"),
            ),
            (
                "UEFI x64 of old",
                "PXEClient:Arch:00009:UNDI:003001",
                Some(9),
                false,
                BootFile::Tftp("snponly.efi"),
            ),
            (
                "UEFI ia32",
                "PXEClient:Arch:00006:UNDI:003001",
                Some(6),
                false,
                BootFile::Tftp("snponly-ia32.efi"),
            ),
            (
                "UEFI arm64",
                "PXEClient:Arch:00011:UNDI:003001",
                Some(11),
                false,
                BootFile::Tftp("snponly-arm64.efi"),
            ),
            ("HTTP boot x64", "HTTPClient:Arch:00016:UNDI:003001", Some(16), false, http("snponly.efi")),
            (
                "HTTP boot x64, PXE's number",
                "HTTPClient:Arch:00007:UNDI:003001",
                Some(7),
                false,
                http("snponly.efi"),
            ),
            (
                "HTTP boot arm64",
                "HTTPClient:Arch:00019:UNDI:003001",
                Some(19),
                false,
                http("snponly-arm64.efi"),
            ),
            ("iPXE of a BIOS ROM", "PXEClient:Arch:00000:UNDI:002001", Some(0), true, script()),
            ("iPXE on UEFI", "PXEClient:Arch:00007:UNDI:003010", Some(7), true, script()),
            ("iPXE on arm64", "PXEClient:Arch:00011:UNDI:003010", Some(11), true, script()),
            ("HTTP boot without a number", "HTTPClient", None, false, BootFile::None),
            ("POWER", "PXEClient:Arch:00014", Some(14), false, BootFile::None),
            ("RISC-V", "PXEClient:Arch:00027:UNDI:003001", Some(27), false, BootFile::None),
            ("an operating system", "anaconda-Linux 6.1 x86_64", None, false, BootFile::None),
            ("no class at all", "", None, false, BootFile::None),
            ("a number without a class", "", Some(7), false, BootFile::None),
        ];
        for (who, class, architecture, ipxe, expected) in table {
            assert_eq!(decide(&client(class, architecture, ipxe), &ramdisk(), HTTP), expected, "{who}");
        }
    }

    #[test]
    fn firmware_is_named_no_file_for_its_disk() {
        for (class, number) in [("PXEClient", 0), ("PXEClient", 7), ("HTTPClient", 16)] {
            assert_eq!(
                decide(&client(class, Some(number), false), &BootTarget::LocalDisk, HTTP),
                BootFile::None
            );
            assert_eq!(
                decide(&client(class, Some(number), false), &BootTarget::Nothing, HTTP),
                BootFile::None
            );
        }
        let ipxe = client("PXEClient", Some(7), true);
        assert!(matches!(decide(&ipxe, &BootTarget::LocalDisk, HTTP), BootFile::Url(_)));
        assert_eq!(decide(&ipxe, &BootTarget::Nothing, HTTP), BootFile::None);
    }
}
