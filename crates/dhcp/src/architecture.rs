//! Client system architecture types (DHCP option 93, RFC 4578; IANA "Processor Architecture Types").
//!
//! Says what the firmware is, not what it should be given.

use std::fmt;

macro_rules! architectures {
    ($($code:literal $variant:ident $name:literal,)*) => {
        /// What the client's firmware says it is. The doc of each variant is IANA's description.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Architecture {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A number that IANA had not assigned when this was written.
            Other(u16),
        }

        impl Architecture {
            /// Every assigned architecture, in the order of its number.
            pub const ASSIGNED: &'static [Self] = &[$(Self::$variant),*];

            /// IANA's description, `unassigned` for a number that has none.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Other(_) => "unassigned" }
            }
        }

        impl From<u16> for Architecture {
            fn from(code: u16) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Other(other) }
            }
        }

        impl From<Architecture> for u16 {
            fn from(architecture: Architecture) -> Self {
                match architecture { $(Architecture::$variant => $code,)* Architecture::Other(code) => code }
            }
        }
    };
}

architectures! {
    0x00 X86Bios "x86 BIOS",
    0x01 NecPc98 "NEC/PC98 (DEPRECATED)",
    0x02 Itanium "Itanium",
    0x03 DecAlpha "DEC Alpha (DEPRECATED)",
    0x04 ArcX86 "Arc x86 (DEPRECATED)",
    0x05 IntelLeanClient "Intel Lean Client (DEPRECATED)",
    0x06 X86Uefi "x86 UEFI",
    0x07 X64Uefi "x64 UEFI",
    0x08 EfiXscale "EFI Xscale (DEPRECATED)",
    0x09 Ebc "EBC",
    0x0a Arm32Uefi "ARM 32-bit UEFI",
    0x0b Arm64Uefi "ARM 64-bit UEFI",
    0x0c PowerPcOpenFirmware "PowerPC Open Firmware",
    0x0d PowerPcEpapr "PowerPC ePAPR",
    0x0e PowerOpal "POWER OPAL v3",
    0x0f X86UefiHttp "x86 uefi boot from http",
    0x10 X64UefiHttp "x64 uefi boot from http",
    0x11 EbcHttp "ebc boot from http",
    0x12 Arm32UefiHttp "arm uefi 32 boot from http",
    0x13 Arm64UefiHttp "arm uefi 64 boot from http",
    0x14 X86BiosHttp "pc/at bios boot from http",
    0x15 Arm32Uboot "arm 32 uboot",
    0x16 Arm64Uboot "arm 64 uboot",
    0x17 Arm32UbootHttp "arm uboot 32 boot from http",
    0x18 Arm64UbootHttp "arm uboot 64 boot from http",
    0x19 RiscV32Uefi "RISC-V 32-bit UEFI",
    0x1a RiscV32UefiHttp "RISC-V 32-bit UEFI boot from http",
    0x1b RiscV64Uefi "RISC-V 64-bit UEFI",
    0x1c RiscV64UefiHttp "RISC-V 64-bit UEFI boot from http",
    0x1d RiscV128Uefi "RISC-V 128-bit UEFI",
    0x1e RiscV128UefiHttp "RISC-V 128-bit UEFI boot from http",
    0x1f S390Basic "s390 Basic",
    0x20 S390Extended "s390 Extended",
    0x21 Mips32Uefi "MIPS 32-bit UEFI",
    0x22 Mips64Uefi "MIPS 64-bit UEFI",
    0x23 Sunway32Uefi "Sunway 32-bit UEFI",
    0x24 Sunway64Uefi "Sunway 64-bit UEFI",
    0x25 LoongArch32Uefi "LoongArch 32-bit UEFI",
    0x26 LoongArch32UefiHttp "LoongArch 32-bit UEFI boot from http",
    0x27 LoongArch64Uefi "LoongArch 64-bit UEFI",
    0x28 LoongArch64UefiHttp "LoongArch 64-bit UEFI boot from http",
    0x29 ArmRpiBoot "ARM rpiboot",
}

impl Architecture {
    /// Whether the firmware asks for a URL to load (UEFI HTTP boot and its kin) and not for a TFTP file.
    pub const fn boots_from_http(self) -> bool {
        matches!(
            self,
            Self::X86UefiHttp
                | Self::X64UefiHttp
                | Self::EbcHttp
                | Self::Arm32UefiHttp
                | Self::Arm64UefiHttp
                | Self::X86BiosHttp
                | Self::Arm32UbootHttp
                | Self::Arm64UbootHttp
                | Self::RiscV32UefiHttp
                | Self::RiscV64UefiHttp
                | Self::RiscV128UefiHttp
                | Self::LoongArch32UefiHttp
                | Self::LoongArch64UefiHttp
        )
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), u16::from(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_a_bijection() {
        for (index, architecture) in Architecture::ASSIGNED.iter().enumerate() {
            assert_eq!(usize::from(u16::from(*architecture)), index);
            assert_eq!(Architecture::from(u16::from(*architecture)), *architecture);
            assert_eq!(
                architecture.boots_from_http(),
                architecture.name().contains("http"),
                "{architecture}"
            );
        }
        assert_eq!(Architecture::from(0x2a), Architecture::Other(0x2a));
        assert_eq!(Architecture::from(7).to_string(), "x64 UEFI (7)");
    }
}
