//! The packets of RFC 1350 and the option acknowledgement of RFC 2347.

/// The longest packet that is taken in: the largest block (RFC 2348) and its header.
pub const MAX_PACKET: usize = 65_464 + 4;
/// The longest packet of texts: RFC 2347 limits a request to 512 bytes, and nothing that is not noise comes near this.
const MAX_TEXTS: usize = 1024;
/// The most options of one request; firmware sends four.
const MAX_OPTIONS: usize = 16;

/// Error codes (RFC 1350 page 10, RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// See the text.
    Undefined,
    /// File not found.
    NotFound,
    /// Access violation.
    Access,
    /// Disk full.
    DiskFull,
    /// Illegal operation.
    IllegalOperation,
    /// Unknown transfer id.
    UnknownTransfer,
    /// File already exists.
    Exists,
    /// No such user.
    NoSuchUser,
    /// The options are refused.
    Options,
    /// A number without a meaning.
    Other(u16),
}

impl From<u16> for ErrorCode {
    fn from(code: u16) -> Self {
        match code {
            0 => Self::Undefined,
            1 => Self::NotFound,
            2 => Self::Access,
            3 => Self::DiskFull,
            4 => Self::IllegalOperation,
            5 => Self::UnknownTransfer,
            6 => Self::Exists,
            7 => Self::NoSuchUser,
            8 => Self::Options,
            other => Self::Other(other),
        }
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Undefined => 0,
            ErrorCode::NotFound => 1,
            ErrorCode::Access => 2,
            ErrorCode::DiskFull => 3,
            ErrorCode::IllegalOperation => 4,
            ErrorCode::UnknownTransfer => 5,
            ErrorCode::Exists => 6,
            ErrorCode::NoSuchUser => 7,
            ErrorCode::Options => 8,
            ErrorCode::Other(code) => code,
        }
    }
}

/// Why bytes are not a TFTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Too short for its kind, or longer than its kind may be.
    #[error("a TFTP packet of {0} bytes")]
    Length(usize),
    /// Not 1 to 6.
    #[error("operation {0} is not a TFTP operation")]
    Operation(u16),
    /// A text without its NUL, an option without a value, or more than 16 options.
    #[error("the texts of a request are malformed")]
    Texts,
}

/// One packet. Texts are kept as they came, as printable ASCII with `?` for everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ (1): a client wants a file.
    Read(Request),
    /// WRQ (2): a client wants to write one.
    Write(Request),
    /// DATA (3).
    Data {
        /// Block number, modulo 65536.
        block: u16,
        /// The block; shorter than the block size: the last one.
        data: &'a [u8],
    },
    /// ACK (4).
    Ack {
        /// Block number, modulo 65536; 0 also acknowledges options.
        block: u16,
    },
    /// ERROR (5): ends the transfer.
    Error {
        /// What kind.
        code: ErrorCode,
        /// In words.
        text: String,
    },
    /// OACK (6): the options that the server takes.
    OptionAck(Vec<(String, String)>),
}

/// The texts of a read or write request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// File name as sent.
    pub name: String,
    /// Mode in lower case: `octet`, `netascii`, `mail`.
    pub mode: String,
    /// Options in the order sent; names in lower case.
    pub options: Vec<(String, String)>,
}

impl<'a> Packet<'a> {
    /// Reads one UDP payload.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let length = DecodeError::Length(bytes.len());
        if bytes.len() > MAX_PACKET {
            return Err(length);
        }
        let (operation, rest) = bytes.split_first_chunk::<2>().ok_or(length)?;
        let operation = u16::from_be_bytes(*operation);
        if matches!(operation, 1 | 2 | 5 | 6) && bytes.len() > MAX_TEXTS {
            return Err(length);
        }
        let numbered = || {
            let (number, data) = rest.split_first_chunk::<2>().ok_or(length)?;
            Ok((u16::from_be_bytes(*number), data))
        };
        match operation {
            1 => request(rest).map(Self::Read),
            2 => request(rest).map(Self::Write),
            3 => numbered().map(|(block, data)| Self::Data { block, data }),
            4 => numbered().map(|(block, _)| Self::Ack { block }),
            5 => {
                let (code, text) = numbered()?;
                // Some clients leave the text's NUL out; the code is what matters.
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                Ok(Self::Error { code: code.into(), text: printable(text) })
            }
            // An acknowledgement of no option acknowledges nothing (RFC 2347).
            6 => match pairs(&texts(rest)?)? {
                options if options.is_empty() => Err(DecodeError::Texts),
                options => Ok(Self::OptionAck(options)),
            },
            other => Err(DecodeError::Operation(other)),
        }
    }

    /// The packet as a UDP payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Read(request) => write_request(&mut out, 1, request),
            Self::Write(request) => write_request(&mut out, 2, request),
            Self::Data { block, data } => {
                out.extend([0, 3]);
                out.extend(block.to_be_bytes());
                out.extend_from_slice(data);
            }
            Self::Ack { block } => {
                out.extend([0, 4]);
                out.extend(block.to_be_bytes());
            }
            Self::Error { code, text } => {
                out.extend([0, 5]);
                out.extend(u16::from(*code).to_be_bytes());
                write_text(&mut out, text);
            }
            Self::OptionAck(options) => {
                out.extend([0, 6]);
                write_pairs(&mut out, options);
            }
        }
        out
    }
}

fn request(bytes: &[u8]) -> Result<Request, DecodeError> {
    let texts = texts(bytes)?;
    let [name, mode, options @ ..] = texts.as_slice() else { return Err(DecodeError::Texts) };
    Ok(Request { name: name.clone(), mode: mode.to_ascii_lowercase(), options: pairs(options)? })
}

/// NUL-terminated texts. What follows the last NUL is dropped: some firmware pads its requests.
fn texts(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let Some(end) = bytes.iter().rposition(|byte| *byte == 0) else { return Err(DecodeError::Texts) };
    let texts: Vec<_> =
        bytes[..end].split(|byte| *byte == 0).take(2 + 2 * MAX_OPTIONS + 1).map(printable).collect();
    if texts.len() > 2 + 2 * MAX_OPTIONS { Err(DecodeError::Texts) } else { Ok(texts) }
}

/// Pairs of name and value; empty names at the end are padding.
fn pairs(texts: &[String]) -> Result<Vec<(String, String)>, DecodeError> {
    let used = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |last| last + 1);
    let texts = &texts[..used];
    if !texts.len().is_multiple_of(2) {
        return Err(DecodeError::Texts);
    }
    Ok(texts.chunks_exact(2).map(|pair| (pair[0].to_ascii_lowercase(), pair[1].clone())).collect())
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' }).collect()
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}

fn write_pairs(out: &mut Vec<u8>, options: &[(String, String)]) {
    for (name, value) in options {
        write_text(out, name);
        write_text(out, value);
    }
}

fn write_request(out: &mut Vec<u8>, operation: u8, request: &Request) {
    out.extend([0, operation]);
    write_text(out, &request.name);
    write_text(out, &request.mode);
    write_pairs(out, &request.options);
}
