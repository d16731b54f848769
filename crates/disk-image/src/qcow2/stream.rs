//! A qcow2 image expanded while it is read once, from front to back. The source and the destination belong to
//! the caller: [`Stream::next`] takes bytes from a [`Read`] and yields pieces of the disk.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::cluster::{Inflater, Mapping, entries, l2_offset};
use super::{Header, Limits, Qcow2Error, Tables};

/// How much is asked of the source at once.
const READ: usize = 1 << 20;
/// Neighbouring clusters are joined to pieces of at most this many bytes.
const RUN: u64 = 1 << 20;

/// A part of the disk. The pieces of a stream cover the disk once, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These bytes are at `offset` of the disk.
    Data {
        /// Guest offset.
        offset: u64,
        /// Up to 2 MiB.
        bytes: &'a [u8],
    },
    /// The disk reads as zeros there.
    Zero {
        /// Guest offset.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
}

/// Why some bytes of the file are awaited. The order is that of work on the same offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Header,
    L1,
    L2,
    /// A table that was loaded beforehand: compared, not read.
    Known,
    Data,
    Compressed,
}

/// Key: offset in the file, kind, and what it is for (guest offset, or number of the table). Value: length.
type Wants = BTreeMap<(u64, Kind, u64), u64>;

/// What [`Stream::next`] found, before it borrows the bytes.
enum Ready {
    /// Bytes of the window.
    Window {
        guest: u64,
        start: usize,
        len: usize,
    },
    /// Bytes of the scratch buffer.
    Scratch {
        guest: u64,
        len: usize,
    },
    Zero {
        guest: u64,
        len: u64,
    },
}

/// The streaming expander. See the [module](super) for what it can and cannot do in one pass.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    header: Option<Header>,
    inflater: Option<Inflater>,
    wants: Wants,
    zeros: VecDeque<(u64, u64)>,
    /// Digests of tables loaded beforehand, by offset.
    known: BTreeMap<u64, [u8; 32]>,
    tables_left: usize,
    /// The last bytes read: `window[..filled]` starts at byte `base` of the file.
    window: Vec<u8>,
    filled: usize,
    base: u64,
    ended: bool,
    scratch: Vec<u8>,
}

impl Stream {
    /// Expands an image whose tables will come by in time.
    pub fn new(limits: &Limits) -> Self {
        let head = ((0, Kind::Header, 0), Header::HEAD_LEN as u64);
        Self {
            limits: *limits,
            header: None,
            inflater: None,
            wants: BTreeMap::from([head]),
            zeros: VecDeque::new(),
            known: BTreeMap::new(),
            tables_left: 0,
            window: Vec::new(),
            filled: 0,
            base: 0,
            ended: false,
            scratch: Vec::new(),
        }
    }

    /// Expands any image, with its tables loaded beforehand. Fails with [`Qcow2Error::Changed`] as soon as the
    /// stream shows another header or table than was loaded.
    pub fn with_tables(tables: Tables, limits: &Limits) -> Result<Self, Qcow2Error> {
        let mut stream = Self::new(limits);
        let Tables { header, l1, l2 } = tables;
        stream.start(header)?;
        stream.know(header.l1_offset, &l1);
        let mut holes = entries(&l1).enumerate().filter(|(_, entry)| entry & 0x00ff_ffff_ffff_fe00 == 0);
        holes.by_ref().for_each(|(index, _)| stream.push_hole(&header, index as u64));
        for (index, offset, bytes) in l2 {
            stream.know(offset, &bytes);
            stream.take_l2(&header, index, &entries(&bytes).collect::<Vec<_>>())?;
        }
        Ok(stream)
    }

    /// The header, once it has come by.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The next piece of the disk; `None` when it is complete. The source may have bytes left then: a caller that
    /// hashes it reads on to the end.
    pub fn next(&mut self, source: &mut dyn Read) -> Result<Option<Piece<'_>>, Qcow2Error> {
        let ready = loop {
            if let Some((guest, len)) = self.zeros.pop_front() {
                break Ready::Zero { guest, len };
            }
            let Some((&(start, kind, id), &len)) = self.wants.first_key_value() else {
                return Ok(None);
            };
            let end = self.base + self.filled as u64;
            if start + len > end && !self.ended {
                self.fill(source, start)?;
                continue;
            }
            self.wants.pop_first();
            if let Some(ready) = self.serve(start, kind, id, len)? {
                break ready;
            }
        };
        Ok(Some(match ready {
            Ready::Zero { guest, len } => Piece::Zero { offset: guest, len },
            Ready::Window { guest, start, len } => {
                Piece::Data { offset: guest, bytes: &self.window[start..start + len] }
            }
            Ready::Scratch { guest, len } => Piece::Data { offset: guest, bytes: &self.scratch[..len] },
        }))
    }

    /// Reads once. Makes room by forgetting what nobody can want any more.
    fn fill(&mut self, source: &mut dyn Read, wanted: u64) -> Result<(), Qcow2Error> {
        let end = self.base + self.filled as u64;
        let lookback = if self.tables_left > 0 { self.limits.lookback as u64 } else { 0 };
        let keep = wanted.min(end.saturating_sub(lookback)).max(self.base);
        let droppable = usize::try_from(keep - self.base).unwrap_or(self.filled);
        let kept = self.filled - droppable;
        // Moving as much as is dropped, or less, moves each byte of the file once on average.
        if self.window.len() < self.filled + READ && droppable >= kept {
            self.window.copy_within(droppable..self.filled, 0);
            self.base = keep;
            self.filled = kept;
            if lookback == 0 && self.window.len() > 8 * READ && kept < READ {
                self.window.truncate(2 * READ);
                self.window.shrink_to_fit();
            }
        }
        if self.window.len() < self.filled + READ {
            self.window.resize(self.filled + READ, 0);
        }
        let offset = self.base + self.filled as u64;
        let count = loop {
            match source.read(&mut self.window[self.filled..self.filled + READ]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|source| Qcow2Error::Read { offset, source })?,
            }
        };
        self.filled += count;
        self.ended = count == 0;
        Ok(())
    }

    /// Works on one want whose bytes are in the window, or as many as the file has.
    fn serve(&mut self, start: u64, kind: Kind, id: u64, len: u64) -> Result<Option<Ready>, Qcow2Error> {
        let end = self.base + self.filled as u64;
        let have = len.min(end.saturating_sub(start));
        let at = usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.filled);
        let bytes = at..at + usize::try_from(have).unwrap_or(0);
        match kind {
            Kind::Header => {
                let header = Header::parse(&self.window[bytes], &self.limits)?;
                self.take_header(header).map(|()| None)
            }
            Kind::Data => self.data(id, start, len, have).map(Some),
            Kind::Compressed if have > 0 => self.inflate(id, start, bytes).map(Some),
            _ if have < len || have == 0 => {
                let what = if kind == Kind::Compressed { "data" } else { "tables" };
                Err(Qcow2Error::Truncated { what, end })
            }
            Kind::Known => {
                let digest: [u8; 32] = Sha256::digest(&self.window[bytes]).into();
                let same = self.known.remove(&start).is_none_or(|expected| expected == digest);
                if same { Ok(None) } else { Err(Qcow2Error::Changed { offset: start }) }
            }
            Kind::L1 | Kind::L2 | Kind::Compressed => {
                let table: Vec<u64> = entries(&self.window[bytes]).collect();
                self.tables_left -= 1;
                let header = self.header.ok_or(Qcow2Error::BadMagic)?;
                match kind {
                    Kind::L1 => self.take_l1(&header, &table),
                    _ => self.take_l2(&header, id, &table),
                }
                .map(|()| None)
            }
        }
    }

    fn take_header(&mut self, header: Header) -> Result<(), Qcow2Error> {
        match self.header {
            Some(known) if known == header => return Ok(()),
            Some(_) => return Err(Qcow2Error::Changed { offset: 0 }),
            None => self.start(header)?,
        }
        if header.l1_entries > 0 {
            self.tables_left += 1;
            self.want(header.l1_offset, Kind::L1, 0, header.l1_entries as u64 * 8)?;
        }
        Ok(())
    }

    fn start(&mut self, header: Header) -> Result<(), Qcow2Error> {
        let inflater = Inflater::new(header.compression);
        self.inflater = Some(inflater.map_err(|source| Qcow2Error::Read { offset: 0, source })?);
        self.header = Some(header);
        Ok(())
    }

    fn take_l1(&mut self, header: &Header, table: &[u64]) -> Result<(), Qcow2Error> {
        for (index, entry) in (0..).zip(table) {
            match l2_offset(*entry, header)? {
                None => self.push_hole(header, index),
                Some(offset) => {
                    self.tables_left += 1;
                    self.want(offset, Kind::L2, index, header.cluster_size())?;
                }
            }
        }
        Ok(())
    }

    /// All that entry `index` of the first-level table maps is zero.
    fn push_hole(&mut self, header: &Header, index: u64) {
        let start = index * header.l2_span();
        self.push_zero(start, header.l2_span().min(header.virtual_size.saturating_sub(start)));
    }

    fn push_zero(&mut self, guest: u64, len: u64) {
        match self.zeros.back_mut() {
            Some((start, before)) if *start + *before == guest => *before += len,
            _ if len > 0 => self.zeros.push_back((guest, len)),
            _ => {}
        }
    }

    fn take_l2(&mut self, header: &Header, index: u64, table: &[u64]) -> Result<(), Qcow2Error> {
        let size = header.cluster_size();
        let mut run: Option<(u64, u64, u64)> = None;
        for (number, entry) in (0..).zip(table) {
            let guest = index * header.l2_span() + number * size;
            if guest >= header.virtual_size {
                break;
            }
            let len = size.min(header.virtual_size - guest);
            match (Mapping::of(*entry, header)?, &mut run) {
                (Mapping::Zero, _) => self.push_zero(guest, len),
                (Mapping::Compressed { offset, len }, _) => {
                    self.want(offset, Kind::Compressed, guest, len.into())?;
                }
                (Mapping::Data { offset }, Some((host, first, total)))
                    if *host + *total == offset && *first + *total == guest && *total + size <= RUN =>
                {
                    *total += len;
                }
                (Mapping::Data { offset }, _) => {
                    if let Some((host, first, total)) = run.replace((offset, guest, len)) {
                        self.want(host, Kind::Data, first, total)?;
                    }
                }
            }
        }
        run.map_or(Ok(()), |(host, first, total)| self.want(host, Kind::Data, first, total))
    }

    fn want(&mut self, start: u64, kind: Kind, id: u64, len: u64) -> Result<(), Qcow2Error> {
        if start < self.base {
            return Err(Qcow2Error::OutOfOrder { offset: start });
        }
        if self.wants.len() >= self.limits.extents {
            let limit = self.limits.extents as u64;
            return Err(Qcow2Error::Limit {
                what: "its number of scattered clusters",
                value: limit + 1,
                limit,
            });
        }
        self.wants.insert((start, kind, id), len);
        Ok(())
    }

    fn know(&mut self, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.known.insert(offset, Sha256::digest(bytes).into());
            self.wants.insert((offset, Kind::Known, 0), bytes.len() as u64);
        }
    }

    /// A file may end inside its last cluster: the rest of that cluster reads as zeros, as in QEMU.
    fn data(&mut self, guest: u64, start: u64, len: u64, have: u64) -> Result<Ready, Qcow2Error> {
        let cluster = self.header.map_or(0, |header| header.cluster_size());
        let missing = len - have;
        // At most RUN or a cluster of 2 MiB.
        let (len, have) = (usize::try_from(len).unwrap_or(0), usize::try_from(have).unwrap_or(0));
        let at = usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.filled);
        if missing == 0 {
            return Ok(Ready::Window { guest, start: at, len });
        }
        if have == 0 || missing >= cluster {
            return Err(Qcow2Error::Truncated { what: "data", end: self.base + self.filled as u64 });
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.window[at..at + have]);
        self.scratch.resize(len, 0);
        Ok(Ready::Scratch { guest, len })
    }

    fn inflate(
        &mut self,
        guest: u64,
        start: u64,
        bytes: std::ops::Range<usize>,
    ) -> Result<Ready, Qcow2Error> {
        let (Some(header), Some(inflater)) = (&self.header, &mut self.inflater) else {
            return Err(Qcow2Error::BadMagic);
        };
        let size = usize::try_from(header.cluster_size()).unwrap_or(0);
        self.scratch.resize(size, 0);
        inflater.cluster(&self.window[bytes], &mut self.scratch[..size], start)?;
        let left = usize::try_from(header.virtual_size - guest).unwrap_or(usize::MAX);
        Ok(Ready::Scratch { guest, len: size.min(left) })
    }
}
