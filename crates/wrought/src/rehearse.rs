//! `wrought sim`: whole lives of nodes under virtual time, from a seed; and any one of them again, line by line.

use std::fmt::Write as _;

use clap::Args;
use rehearsal::{BrokenLife, Options, Summary, hex};
use tokio::time::Instant;

/// What to rehearse. Equal arguments give equal lives and an equal hash, on every machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimArgs {
    /// Decides everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of nodes
    #[arg(long, default_value_t = 1000)]
    nodes: u32,
    /// Tenants that come and go on each node
    #[arg(long, default_value_t = 1)]
    lives: u32,
    /// Conductors of the site
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    conductors: u8,
    /// How many of a thousand actions see a conductor die or stand still
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=1000))]
    crashes: u32,
    /// How many of a thousand actions, calls and boots go wrong
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=1000))]
    faults: u32,
    /// Live this node's life alone, and print every line of it
    #[arg(long, value_name = "NUMBER")]
    node: Option<u32>,
    /// Threads; their number changes nothing but the time it takes
    #[arg(long)]
    threads: Option<usize>,
    /// Print the hash only
    #[arg(long)]
    quiet: bool,
}

impl SimArgs {
    fn options(&self) -> Options {
        Options {
            seed: self.seed,
            nodes: self.nodes,
            lives: self.lives,
            conductors: self.conductors,
            crashes: self.crashes,
            faults: self.faults,
            sabotage: None,
        }
    }

    /// The command that lives one of the lives again.
    fn again(&self, node: u32) -> String {
        format!(
            "wrought sim --seed {} --lives {} --conductors {} --crashes {} --faults {} --node {node}",
            self.seed, self.lives, self.conductors, self.crashes, self.faults
        )
    }

    fn tell(&self, broken: &BrokenLife) -> String {
        let seconds = broken.at.as_micros() / 1_000_000;
        let mut text =
            format!("seed {}, node {}, after {seconds} s: {}\n", self.seed, broken.node, broken.breach);
        for line in &broken.lines {
            let _ = writeln!(text, "  {line}");
        }
        let _ = writeln!(text, "Again, with its whole log: {}\n", self.again(broken.node));
        text
    }
}

/// Rehearses, and tells of it; an error when a rule did not hold.
pub(crate) fn run(arguments: &SimArgs, say: impl Fn(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    match arguments.node {
        Some(node) => live_again(arguments, node, say),
        None => live_all(arguments, say),
    }
}

fn live_again(
    arguments: &SimArgs,
    node: u32,
    say: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let replay = rehearsal::replay(&arguments.options(), node);
    if !arguments.quiet {
        let lines = replay.lines.iter().flat_map(|line| [line.as_str(), "\n"]);
        say(&lines.collect::<String>())?;
    }
    say(&format!("log hash: {}\n", hex(&replay.hash)))?;
    match replay.breach {
        Some(breach) => anyhow::bail!("{breach}"),
        None => Ok(()),
    }
}

fn live_all(arguments: &SimArgs, say: impl Fn(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let began = Instant::now();
    let summary = rehearsal::run(&arguments.options(), threads.unwrap_or(1));
    let took = began.elapsed();
    if arguments.quiet {
        say(&format!("{}\n", hex(&summary.hash)))?;
    } else {
        for broken in &summary.told {
            say(&arguments.tell(broken))?;
        }
        let millis = took.as_millis().max(1);
        let rate = u128::from(summary.tally.events) * 1000 / millis;
        say(&format!("{summary}took {} ms, {rate} events/s\n", took.as_millis()))?;
    }
    judge(arguments, &summary)
}

fn judge(arguments: &SimArgs, summary: &Summary) -> anyhow::Result<()> {
    let Some(first) = summary.told.first() else { return Ok(()) };
    anyhow::bail!(
        "{} of {} lives broke a rule; the first: {}",
        summary.broken,
        summary.nodes,
        arguments.again(first.node)
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        sim: SimArgs,
    }

    fn said(text: &str) -> String {
        let arguments = Cli::try_parse_from(text.split_whitespace()).unwrap().sim;
        let told = RefCell::new(String::new());
        let say = |line: &str| {
            told.borrow_mut().push_str(line);
            Ok(())
        };
        run(&arguments, say).unwrap();
        told.into_inner()
    }

    #[test]
    fn the_hash_is_the_same_again_and_of_any_number_of_threads() {
        let hash = said("sim --seed 4 --nodes 20 --quiet --threads 1");
        assert_eq!(hash, said("sim --seed 4 --nodes 20 --quiet --threads 3"));
        assert_eq!(hash.trim().len(), 64);
        assert_ne!(hash, said("sim --seed 5 --nodes 20 --quiet"));
    }

    #[test]
    fn the_summary_says_what_happened() {
        let text = said("sim --nodes 20");
        for part in ["20 lives", "every rule held", "events/s", "conductors:", "log hash: ", "manageable"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn one_life_is_shown_line_by_line() {
        let arguments = Cli::try_parse_from("sim --seed 4 --nodes 20".split_whitespace()).unwrap().sim;
        let text = said(&arguments.again(3).replace("wrought sim", "sim"));
        assert!(text.lines().count() > 50 && text.contains("manageable"), "{text}");
    }
}
