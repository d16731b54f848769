//! The kernel command line as a list of parameters, and how each boot loader must be told it.

use std::fmt;
use std::str::FromStr;

/// The longest command line, in bytes: x86's `COMMAND_LINE_SIZE` of 2048 less the NUL.
pub const MAX_CMDLINE: usize = 2047;

/// One parameter: `key` or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Param {
    key: String,
    value: Option<String>,
}

/// Why something is not a kernel parameter or command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmdlineError {
    /// Keys are printable ASCII without space, quote and equals sign, and not empty.
    #[error("{0:?} is not a kernel parameter's name")]
    Key(String),
    /// Values are printable ASCII and spaces, without double quote, for which the kernel has no escape.
    #[error(
        "the value of kernel parameter {key} holds {character:?}, which a kernel command line cannot carry"
    )]
    Value {
        /// The parameter.
        key: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// An odd number of double quotes, or a quote in the middle of a word.
    #[error("the quotes of a kernel command line do not pair")]
    Quotes,
    /// A character outside of printable ASCII between parameters.
    #[error("a kernel command line cannot carry {0:?}")]
    Character(char),
    /// Longer than [`MAX_CMDLINE`].
    #[error("a kernel command line of {0} bytes is longer than 2047")]
    TooLong(usize),
}

/// Who reads a serialized command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The kernel, or a loader that hands the rest of a line on as it is (pxelinux, isolinux, extlinux).
    Plain,
    /// An iPXE `kernel` command.
    Ipxe,
    /// A GRUB `linux` command.
    Grub,
}

/// A parameter that cannot be said to a boot loader so that the kernel gets it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kernel parameter {key} cannot be passed through {target:?}: {reason}")]
pub struct Unrepresentable {
    /// The parameter.
    pub key: String,
    /// The boot loader.
    pub target: Target,
    /// What the loader would do to it.
    pub reason: &'static str,
}

impl Param {
    /// `key` alone.
    pub fn flag(key: impl Into<String>) -> Result<Self, CmdlineError> {
        Self::new(key.into(), None)
    }

    /// `key=value`; the value may be empty and may hold spaces.
    pub fn with_value(key: impl Into<String>, value: impl Into<String>) -> Result<Self, CmdlineError> {
        Self::new(key.into(), Some(value.into()))
    }

    fn new(key: String, value: Option<String>) -> Result<Self, CmdlineError> {
        let allowed = |character: char| character.is_ascii_graphic() && !matches!(character, '"' | '=');
        if key.is_empty() || !key.chars().all(allowed) {
            return Err(CmdlineError::Key(key));
        }
        let wrong =
            |character: &char| !(character.is_ascii_graphic() || *character == ' ') || *character == '"';
        if let Some(character) = value.as_deref().and_then(|value| value.chars().find(wrong)) {
            return Err(CmdlineError::Value { key, character });
        }
        Ok(Self { key, value })
    }

    /// The name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    fn spaced(&self) -> bool {
        self.value.as_deref().is_some_and(|value| value.contains(' '))
    }

    fn refuse(&self, target: Target, reason: &'static str) -> Unrepresentable {
        Unrepresentable { key: self.key.clone(), target, reason }
    }

    /// What the kernel's own parser takes apart again: quotes around a value with spaces.
    fn plain(&self) -> String {
        match &self.value {
            None => self.key.clone(),
            Some(value) if self.spaced() => format!("{}=\"{value}\"", self.key),
            Some(value) => format!("{}={value}", self.key),
        }
    }

    /// iPXE splits at white space, takes a word that is an operator for one, a word that begins with `#` for a comment,
    /// expands `${…}` in words, joins a line that ends in `\` with the next, and then joins words by one space.
    fn ipxe(&self) -> Result<String, Unrepresentable> {
        let text = self.plain();
        let reason = if text.contains("${") {
            Some("${ begins a variable")
        } else if text.contains("  ") || text.ends_with(" \"") || text.contains("=\" ") {
            Some("spaces beyond one are dropped")
        } else if text.split(' ').any(|word| matches!(word, "||" | "&&" | ";")) {
            Some("the word is an operator")
        } else if text.split(' ').any(|word| word.starts_with('#')) {
            Some("the word begins a comment")
        } else if text.ends_with('\\') {
            Some("a backslash joins lines")
        } else {
            None
        };
        reason.map_or(Ok(text), |reason| Err(self.refuse(Target::Ipxe, reason)))
    }

    /// GRUB takes single quotes like a shell, then writes the kernel's line itself: it puts double quotes around a word with
    /// spaces and a backslash before quotes and backslashes, which the kernel would not take off.
    fn grub(&self) -> Result<String, Unrepresentable> {
        let text = match &self.value {
            None => self.key.clone(),
            Some(value) => format!("{}={value}", self.key),
        };
        if text.contains(['\\', '\'']) {
            return Err(self.refuse(
                Target::Grub,
                "quotes and backslashes reach the kernel with a backslash before them",
            ));
        }
        let bare = |character: char| character.is_ascii_alphanumeric() || "-_./:,=@%+".contains(character);
        Ok(if text.chars().all(bare) { text } else { format!("'{text}'") })
    }
}

/// A kernel command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelCmdline(Vec<Param>);

impl KernelCmdline {
    /// No parameters.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends `key=value`.
    pub fn set(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<&mut Self, CmdlineError> {
        self.push(Param::with_value(key, value)?)
    }

    /// Appends `key`.
    pub fn flag(&mut self, key: impl Into<String>) -> Result<&mut Self, CmdlineError> {
        self.push(Param::flag(key)?)
    }

    /// Appends a parameter; an error if the line would become too long.
    pub fn push(&mut self, param: Param) -> Result<&mut Self, CmdlineError> {
        let length = self.len() + param.plain().len() + usize::from(!self.0.is_empty());
        if length > MAX_CMDLINE {
            return Err(CmdlineError::TooLong(length));
        }
        self.0.push(param);
        Ok(self)
    }

    /// Appends all of another line.
    pub fn extend(&mut self, other: &Self) -> Result<&mut Self, CmdlineError> {
        for param in &other.0 {
            self.push(param.clone())?;
        }
        Ok(self)
    }

    /// The parameters in order.
    pub fn params(&self) -> &[Param] {
        &self.0
    }

    /// The value of the last parameter of this name, as the kernel takes it. None: no such parameter, or no value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|param| param.key == key)?.value()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of the plain form.
    pub fn len(&self) -> usize {
        let texts: usize = self.0.iter().map(|param| param.plain().len()).sum();
        texts + self.0.len().saturating_sub(1)
    }

    /// The line for one reader, on one line, without leading or trailing space.
    pub fn serialize(&self, target: Target) -> Result<String, Unrepresentable> {
        let words: Result<Vec<_>, _> = self
            .0
            .iter()
            .map(|param| match target {
                Target::Plain => Ok(param.plain()),
                Target::Ipxe => param.ipxe(),
                Target::Grub => param.grub(),
            })
            .collect();
        Ok(words?.join(" "))
    }
}

impl fmt::Display for KernelCmdline {
    /// The plain form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, param) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " " }, param.plain())?;
        }
        Ok(())
    }
}

impl FromStr for KernelCmdline {
    type Err = CmdlineError;

    /// Reads a line as the kernel would: words apart by spaces, double quotes around a word or a value.
    fn from_str(text: &str) -> Result<Self, CmdlineError> {
        if let Some(character) =
            text.chars().find(|character| !(character.is_ascii_graphic() || *character == ' '))
        {
            return Err(CmdlineError::Character(character));
        }
        let mut line = Self::new();
        let mut rest = text.trim_start_matches(' ');
        while !rest.is_empty() {
            let mut quoted = false;
            let end = rest
                .find(|character| {
                    quoted ^= character == '"';
                    character == ' ' && !quoted
                })
                .unwrap_or(rest.len());
            if quoted {
                return Err(CmdlineError::Quotes);
            }
            let (word, tail) = rest.split_at(end);
            line.push(parse_word(word)?)?;
            rest = tail.trim_start_matches(' ');
        }
        Ok(line)
    }
}

/// One word: `key`, `key=value`, `key="va lue"` or `"key=va lue"`.
fn parse_word(word: &str) -> Result<Param, CmdlineError> {
    let unquote = |text: &str| -> Result<String, CmdlineError> {
        let inner = match text.strip_prefix('"') {
            Some(inner) => inner.strip_suffix('"').ok_or(CmdlineError::Quotes)?,
            None => text,
        };
        if inner.contains('"') { Err(CmdlineError::Quotes) } else { Ok(inner.to_owned()) }
    };
    let whole = if word.starts_with('"') { unquote(word)? } else { word.to_owned() };
    match whole.split_once('=') {
        Some((key, value)) => Param::with_value(key, unquote(value)?),
        None => Param::flag(unquote(&whole)?),
    }
}
