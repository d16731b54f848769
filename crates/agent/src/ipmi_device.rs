//! The machine's own BMC through `/dev/ipmi0`: sends one command at a time and waits for its response.
//!
//! It knows the interface of Linux' `ipmi_devintf` (linux/ipmi.h) and no command's meaning. The deadline is that of the
//! whole conversation, not of a command: a BMC that does not answer one is not asked more.

use crate::clock;
use ipmi::{
    CompletionCode,
    command::{RawRequest, RawResponse},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    ioctl::{Opcode, Setter, Updater, ioctl, opcode},
};
use std::{
    ffi::{c_int, c_long, c_short, c_uint},
    fs::{File, OpenOptions},
    io,
    path::Path,
    ptr,
    time::Duration,
};
use thiserror::Error;

/// The first BMC of a machine.
pub const DEVICE: &str = "/dev/ipmi0";
/// `IPMI_SYSTEM_INTERFACE_ADDR_TYPE` and `IPMI_BMC_CHANNEL`: the BMC on this machine's board.
const SYSTEM_INTERFACE: (c_int, c_short) = (0x0C, 0x0F);
/// `IPMI_RESPONSE_RECV_TYPE`: what is received answers a command of ours.
const RESPONSE: c_int = 1;
/// `IPMI_MAX_MSG_LENGTH`: no response is longer.
const LONGEST: usize = 272;
/// Messages that belong to none of our commands and are read past, in one wait.
const MOST_STRAYS: usize = 32;

const SEND_COMMAND: Opcode = opcode::read::<Request>(b'i', 13);
const RECEIVE_MSG_TRUNC: Opcode = opcode::read_write::<Received>(b'i', 11);

/// Why the BMC could not be asked.
#[derive(Debug, Error)]
pub enum IpmiDeviceError {
    /// The device is there and cannot be used.
    #[error("{path} cannot be opened")]
    Open {
        /// The device.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel did not take the command.
    #[error("the kernel does not take an IPMI command")]
    Send(#[source] io::Error),
    /// The kernel did not hand the response over.
    #[error("an IPMI response cannot be received")]
    Receive(#[source] io::Error),
    /// No response in the time that was left.
    #[error("the BMC does not answer")]
    Silent,
    /// A response without a completion code.
    #[error("the BMC's response is empty")]
    Empty,
}

/// A conversation with the BMC.
#[derive(Debug)]
pub struct IpmiDevice {
    file: File,
    deadline: Duration,
    last_id: c_long,
}

impl IpmiDevice {
    /// Opens [`DEVICE`] for a conversation that lasts `limit` at most. `None` when the machine has none.
    pub fn open(limit: Duration) -> Result<Option<Self>, IpmiDeviceError> {
        if !Path::new(DEVICE).exists() {
            return Ok(None);
        }
        let file = OpenOptions::new().read(true).write(true).open(DEVICE);
        let file = file.map_err(|source| IpmiDeviceError::Open { path: DEVICE, source })?;
        Ok(Some(Self { file, deadline: clock::uptime() + limit, last_id: 0 }))
    }

    /// Sends a command and waits for its response, whatever its completion code is. Blocks the thread.
    pub fn ask(&mut self, request: &RawRequest) -> Result<RawResponse, IpmiDeviceError> {
        self.last_id += 1;
        let mut data = request.data.clone();
        send(&self.file, self.last_id, request, &mut data)
            .map_err(|errno| IpmiDeviceError::Send(errno.into()))?;
        for _ in 0..MOST_STRAYS {
            self.wait()?;
            let message = match receive(&self.file) {
                Ok(message) => message,
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(errno) => return Err(IpmiDeviceError::Receive(errno.into())),
            };
            if message.kind == RESPONSE && message.id == self.last_id {
                let (completion, data) = message.data.split_first().ok_or(IpmiDeviceError::Empty)?;
                return Ok(RawResponse {
                    completion: CompletionCode::from_wire(*completion),
                    data: data.to_vec(),
                });
            }
        }
        Err(IpmiDeviceError::Silent)
    }

    /// Waits until there is a message, no longer than the conversation may last.
    fn wait(&self) -> Result<(), IpmiDeviceError> {
        loop {
            let left = self.deadline.saturating_sub(clock::uptime());
            let left = Timespec::try_from(left).map_err(|_| IpmiDeviceError::Receive(Errno::INVAL.into()))?;
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(IpmiDeviceError::Silent),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(IpmiDeviceError::Receive(errno.into())),
            }
        }
    }
}

/// `struct ipmi_system_interface_addr`.
#[repr(C)]
#[derive(Debug)]
struct Address {
    kind: c_int,
    channel: c_short,
    lun: u8,
}

/// `struct ipmi_addr`: room for an address of any kind.
#[repr(C)]
struct AnyAddress {
    kind: c_int,
    channel: c_short,
    data: [u8; 32],
}

/// `struct ipmi_msg`.
#[repr(C)]
#[derive(Debug)]
struct Message {
    net_fn: u8,
    command: u8,
    length: u16,
    data: *mut u8,
}

/// `struct ipmi_req`.
#[repr(C)]
#[derive(Debug)]
struct Request {
    address: *mut Address,
    address_length: c_uint,
    id: c_long,
    message: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
#[derive(Debug)]
struct Received {
    kind: c_int,
    address: *mut AnyAddress,
    address_length: c_uint,
    id: c_long,
    message: Message,
}

/// What of a received message counts.
struct Incoming {
    kind: c_int,
    id: c_long,
    /// Completion code and data.
    data: Vec<u8>,
}

/// The size of a C structure or array as its length fields count it; all of them are below 300 bytes.
#[expect(clippy::cast_possible_truncation, reason = "sizes of the structures above")]
const fn size<T>() -> c_uint {
    size_of::<T>() as c_uint
}

#[expect(unsafe_code, reason = "rustix has no safe call for IPMICTL_SEND_COMMAND")]
fn send(file: &File, id: c_long, request: &RawRequest, data: &mut [u8]) -> rustix::io::Result<()> {
    let (kind, channel) = SYSTEM_INTERFACE;
    let mut address = Address { kind, channel, lun: 0 };
    let message = Message {
        net_fn: request.net_fn.value(),
        command: request.command,
        length: u16::try_from(data.len()).map_err(|_| Errno::MSGSIZE)?,
        data: data.as_mut_ptr(),
    };
    let request =
        Request { address: ptr::from_mut(&mut address), address_length: size::<Address>(), id, message };
    // SAFETY: the kernel copies `struct ipmi_req` in, then `address_length` bytes from `address` and `length` bytes from
    // `data`: both live until the call returns and are as long as it says. It keeps no pointer and writes nothing.
    unsafe { ioctl(file, Setter::<SEND_COMMAND, Request>::new(request)) }
}

#[expect(unsafe_code, reason = "rustix has no safe call for IPMICTL_RECEIVE_MSG_TRUNC")]
fn receive(file: &File) -> rustix::io::Result<Incoming> {
    let mut address = AnyAddress { kind: 0, channel: 0, data: [0; 32] };
    let mut data = [0_u8; LONGEST];
    let mut received = Received {
        kind: 0,
        address: ptr::from_mut(&mut address),
        address_length: size::<AnyAddress>(),
        id: 0,
        message: Message {
            net_fn: 0,
            command: 0,
            length: u16::try_from(LONGEST).unwrap_or(u16::MAX),
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: the kernel copies `struct ipmi_recv` in and out, and writes at most `address_length` bytes to `address` and
    // `length` bytes to `data`: both live until the call returns and are as long as it says. It keeps no pointer.
    unsafe { ioctl(file, Updater::<RECEIVE_MSG_TRUNC, Received>::new(&mut received)) }?;
    let length = usize::from(received.message.length).min(LONGEST);
    Ok(Incoming { kind: received.kind, id: received.id, data: data[..length].to_vec() })
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// What a C compiler says of linux/ipmi.h on the 64-bit machines that Linux has.
    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!((size_of::<Address>(), size_of::<AnyAddress>(), size_of::<Message>()), (8, 40, 16));
        assert_eq!(
            (size_of::<Request>(), offset_of!(Request, id), offset_of!(Request, message)),
            (40, 16, 24)
        );
        assert_eq!((offset_of!(Address, channel), offset_of!(Address, lun)), (4, 6));
        assert_eq!((offset_of!(Message, length), offset_of!(Message, data)), (2, 8));
        assert_eq!(size_of::<Received>(), 48);
        assert_eq!(
            [
                offset_of!(Received, address),
                offset_of!(Received, address_length),
                offset_of!(Received, id),
                offset_of!(Received, message),
            ],
            [8, 16, 24, 32]
        );
        assert_eq!((SEND_COMMAND, RECEIVE_MSG_TRUNC), (0x8028_690D, 0xC030_690B));
    }

    #[test]
    fn a_device_that_is_none_refuses() {
        let mut device = IpmiDevice {
            file: File::open("/dev/null").expect("open"),
            deadline: clock::uptime(),
            last_id: 0,
        };
        let request = RawRequest { net_fn: ipmi::wire::message::NetFn::APP, command: 1, data: Vec::new() };
        assert!(matches!(device.ask(&request), Err(IpmiDeviceError::Send(_))));
    }
}
