//! What boot loaders are told: kernel command lines and iPXE scripts, as values that cannot carry a command.
//!
//! A [`KernelCmdline`] is a list of checked parameters with one serializer per reader (the kernel itself, iPXE, GRUB).
//! Each reader has its own idea of quotes, comments and variables; a parameter that a reader would not pass on to the
//! kernel unchanged is refused for that reader, never mended. A [`Script`] is made of such parts only. Nothing here
//! knows nodes or networks.

mod cmdline;
mod script;
mod url;

pub use cmdline::{CmdlineError, KernelCmdline, MAX_CMDLINE, Param, Target, Unrepresentable};
pub use script::{Initrd, NetworkBoot, Script, ScriptError};
pub use url::{InvalidUrl, Url};
