//! The agent's log: short lines on the console, and the last of them kept for `log.collect_system_logs`.
//!
//! A line is `wrought-agent: [  1.234] network eth0 up 172.22.0.100/24`, the time being the kernel's, so that the phases
//! of a boot can be read off a serial console.

use crate::clock;
use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    fs::File,
    io::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Bytes of log that are kept.
const KEPT: usize = 512 << 10;
/// Longest line; what is longer is cut.
const LONGEST_LINE: usize = 2000;

/// The agent's log: a `tracing` subscriber without spans.
#[derive(Debug)]
struct Console {
    most_verbose: Level,
}

#[derive(Debug, Default)]
struct Sink {
    output: Option<File>,
    lines: VecDeque<String>,
    bytes: usize,
}

fn sink() -> &'static Mutex<Sink> {
    static SINK: OnceLock<Mutex<Sink>> = OnceLock::new();
    SINK.get_or_init(Mutex::default)
}

/// Sends the log of the whole process to `output`, from now on. May be called again to change either.
pub fn install(output: Option<File>, debug: bool) {
    sink().lock().unwrap_or_else(PoisonError::into_inner).output = output;
    let most_verbose = if debug { Level::DEBUG } else { Level::INFO };
    // A second call keeps the first subscriber: only the output changes then.
    let _ = tracing::subscriber::set_global_default(Console { most_verbose });
}

/// The lines that are kept, oldest first.
pub fn recent() -> String {
    let sink = sink().lock().unwrap_or_else(PoisonError::into_inner);
    sink.lines.iter().fold(String::with_capacity(sink.bytes), |text, line| text + line)
}

/// Writes one line, whatever happens: also used from the panic hook, where the sink's lock may be held.
pub fn line(text: &str) {
    let up = clock::uptime();
    let mut line = format!("wrought-agent: [{:4}.{:03}] ", up.as_secs(), up.subsec_millis());
    line.extend(text.chars().take(LONGEST_LINE).map(|c| if c.is_control() { ' ' } else { c }));
    line.push('\n');
    let Ok(mut sink) = sink().try_lock().or_else(|_| sink().lock()) else { return };
    if let Some(output) = &mut sink.output {
        // Nowhere to complain to.
        let _ = output.write_all(line.as_bytes());
    }
    sink.bytes += line.len();
    sink.lines.push_back(line);
    while sink.bytes > KEPT {
        let gone = sink.lines.pop_front().map_or(0, |line| line.len());
        sink.bytes -= gone;
    }
}

impl Subscriber for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries are of interest only when they warn.
        let ours =
            ["agent", "wrought_agent", "disk", "dhcp"].iter().any(|name| metadata.target().starts_with(name));
        *metadata.level() <= if ours { self.most_verbose } else { Level::WARN }
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let mark = match *event.metadata().level() {
            Level::ERROR => "ERROR ",
            Level::WARN => "warning: ",
            _ => "",
        };
        line(&format!("{mark}{}{}", text.message, text.fields));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The message and the fields of an event, as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// An error and all its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&words) {
            let _ = write!(text, ": {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_cut() {
        line(&format!("one\nline {}", "x".repeat(5000)));
        let text = recent();
        let last = text.lines().find(|line| line.contains("one line")).expect("kept on one line");
        assert!(last.starts_with("wrought-agent: [") && last.len() < 2100, "{}", last.len());
        for _ in 0..1000 {
            line(&"y".repeat(1000));
        }
        assert!(recent().len() <= KEPT);
    }
}
