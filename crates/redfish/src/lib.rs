//! Redfish (DMTF DSP0266) without IO: which requests to make and what the answers mean. It opens no socket, reads no
//! clock and knows neither nodes nor drivers; bodies are [`serde_json::Value`]s, read leniently, since no two BMCs
//! agree on what they leave out.
//!
//! * [`parse`] makes a bounded document of an answer's bytes, or says what came instead (HTML, nothing, too much).
//! * [`ServiceRoot`], [`Members`] and [`System`] read the resources that machines are found by.
//! * [`ResetAction`] and [`Boot`] say what to send for power and boot changes, within what the BMC says it allows.
//! * [`if_match`] lists the conditions under which to try a change, [`Fault`] explains why it was refused.
//! * [`Task`] and [`login`] are the rest of the protocol that a controller needs.

mod boot;
mod clock;
mod document;
mod etag;
mod fault;
mod path;
mod quirks;
mod reset;
mod root;
mod secure_boot;
mod session;
mod system;
mod task;
mod update;

pub use boot::{Boot, BootChange, BootMode, BootTarget, Override};
pub use clock::Clock;
pub use document::{DocumentError, MAX_DOCUMENT, parse};
pub use etag::{etag_of, if_match};
pub use fault::{Fault, Meaning, Message};

pub use path::{BadPath, MAX_PATH, ResourcePath};
pub use quirks::Quirks;
pub use reset::{ResetAction, ResetType, allowed_resets};
pub use root::{DEFAULT_ROOT, ServiceRoot};
pub use secure_boot::{KeysReset, SecureBoot, reset_keys_target, secure_boot_change};
pub use session::{MAX_TOKEN, TOKEN_HEADER, login, usable_token};
pub use system::{MAX_MEMBERS, Members, PowerState, System};
pub use task::{Task, TaskProgress};
pub use update::SimpleUpdate;
