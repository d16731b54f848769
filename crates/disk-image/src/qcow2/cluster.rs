//! Table entries and compressed clusters. Reads nothing itself.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::header::broken;
use super::{Compression, Header, Qcow2Error};

const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;

/// What an entry of a second-level table says about one cluster of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapping {
    /// Reads as zeros: never written, or zeroed.
    Zero,
    /// The cluster is at this offset of the file.
    Data { offset: u64 },
    /// Compressed data starts at `offset` and ends within `len` bytes.
    Compressed { offset: u64, len: u32 },
}

impl Mapping {
    pub(super) fn of(entry: u64, header: &Header) -> Result<Self, Qcow2Error> {
        if entry & 1 << 62 != 0 {
            // The offset takes the low bits, the number of further 512-byte sectors the rest, up to bit 61.
            let shift = 62 - (header.cluster_bits - 8);
            let offset = entry & ((1 << shift) - 1);
            let sectors = (entry >> shift) & ((1 << (header.cluster_bits - 8)) - 1);
            let len = (sectors + 1) * 512 - offset % 512;
            // A sector count is at most 2^13, so the length fits.
            let len = u32::try_from(len).map_err(|_| broken("compressed cluster length", len))?;
            if offset < header.cluster_size() || offset >> 56 != 0 {
                return Err(broken("compressed cluster offset", entry));
            }
            return Ok(Self::Compressed { offset, len });
        }
        if entry & 1 != 0 {
            if header.version < 3 {
                return Err(broken("zero cluster in version 2", entry));
            }
            return Ok(Self::Zero);
        }
        let offset = entry & OFFSET_MASK;
        if offset == 0 {
            return Ok(Self::Zero);
        }
        // Offset 0 is the header's; a cluster there is no cluster of the disk.
        if !offset.is_multiple_of(header.cluster_size()) {
            return Err(broken("cluster offset", entry));
        }
        Ok(Self::Data { offset })
    }
}

/// Where the second-level table of a first-level entry is; `None` when all it maps is zero.
pub(super) fn l2_offset(entry: u64, header: &Header) -> Result<Option<u64>, Qcow2Error> {
    let offset = entry & OFFSET_MASK;
    if !offset.is_multiple_of(header.cluster_size()) {
        return Err(broken("second-level table offset", entry));
    }
    Ok((offset != 0).then_some(offset))
}

/// The 64-bit entries of a table.
pub(super) fn entries(table: &[u8]) -> impl Iterator<Item = u64> {
    table.as_chunks::<8>().0.iter().map(|entry| u64::from_be_bytes(*entry))
}

/// Decompresses clusters, keeping its state between them.
pub(super) enum Inflater {
    Deflate(Box<Decompress>),
    Zstd(Decoder<'static>),
}

impl Inflater {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        match compression {
            Compression::Deflate => Ok(Self::Deflate(Box::new(Decompress::new(false)))),
            Compression::Zstd => {
                let mut decoder = Decoder::new()?;
                // A frame holds one cluster of at most 2 MiB: no honest one needs a larger window.
                decoder.set_parameter(DParameter::WindowLogMax(22))?;
                Ok(Self::Zstd(decoder))
            }
        }
    }

    /// Decompresses from the start of `input` until `output` is full. What follows in `input` is of the next
    /// cluster, or padding.
    pub(super) fn cluster(&mut self, input: &[u8], output: &mut [u8], offset: u64) -> Result<(), Qcow2Error> {
        let full = match self {
            Self::Deflate(inflate) => {
                inflate.reset(false);
                let done = inflate.decompress(input, output, FlushDecompress::Finish);
                let filled = inflate.total_out() == output.len() as u64;
                matches!(done, Ok(Status::StreamEnd | Status::BufError | Status::Ok)) && filled
            }
            Self::Zstd(decoder) => unzstd(decoder, input, output).unwrap_or(false),
        };
        if full { Ok(()) } else { Err(Qcow2Error::Decompress { offset }) }
    }
}

fn unzstd(decoder: &mut Decoder<'static>, input: &[u8], output: &mut [u8]) -> io::Result<bool> {
    decoder.reinit()?;
    let wanted = output.len();
    let mut input = InBuffer::around(input);
    let mut output = OutBuffer::around(output);
    while output.pos() < wanted {
        let before = (input.pos(), output.pos());
        let hint = decoder.run(&mut input, &mut output)?;
        let stuck = before == (input.pos(), output.pos());
        if stuck || (hint == 0 && input.pos() == input.src.len()) {
            break;
        }
    }
    Ok(output.pos() == wanted)
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Deflate(_) => "Inflater::Deflate",
            Self::Zstd(_) => "Inflater::Zstd",
        })
    }
}
