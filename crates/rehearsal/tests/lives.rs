//! Lives by the hundred: every rule holds; equal seeds give equal logs; and whoever breaks the service on purpose is
//! noticed, each by the rule that is there for it.

use model::ProvisionState as S;
use rehearsal::{Options, Sabotage, Summary, hex, replay, run};

const THREADS: usize = 2;

fn told(summary: &Summary, options: &Options) -> String {
    let lives = summary.told.iter().map(|life| {
        format!("seed {}, node {}: {}\n{}\n", options.seed, life.node, life.breach, life.lines.join("\n"))
    });
    lives.collect()
}

#[test]
fn every_rule_holds_under_many_seeds() {
    // More trouble than usual, so that few lives see much of it.
    for seed in 0..150_u32 {
        let trouble = seed % 4;
        let options = Options {
            seed: seed.into(),
            nodes: 2,
            crashes: 20 + 30 * trouble,
            faults: 80 - 20 * trouble,
            ..Options::default()
        };
        let summary = run(&options, THREADS);
        assert_eq!(summary.broken, 0, "{}", told(&summary, &options));
    }
}

#[test]
fn the_same_seed_gives_the_same_lives_on_any_number_of_threads() {
    let options = Options { seed: 7, nodes: 70, ..Options::default() };
    let (one, three) = (run(&options, 1), run(&options, 3));
    assert_eq!(one, three);
    let other = run(&Options { seed: 8, ..options.clone() }, 2);
    assert_ne!(hex(&one.hash), hex(&other.hash));
    let longer = Options { nodes: 700, ..options.clone() };
    assert_eq!(replay(&options, 5), replay(&longer, 5), "a life does not depend on how many there are");
}

#[test]
fn lives_go_through_every_state_and_every_kind_of_trouble() {
    let options = Options { seed: 3, nodes: 300, crashes: 40, faults: 90, ..Options::default() };
    let summary = run(&options, THREADS);
    assert_eq!(summary.broken, 0, "{}", told(&summary, &options));
    for state in S::ALL {
        assert!(summary.tally.states.contains_key(state.as_str()), "no life was ever {state}");
    }
    assert!(summary.tally.faults.len() >= 20, "{:?}", summary.tally.faults);
    for what in [
        "takeovers",
        "standstills",
        "words of a dead conductor refused",
        "actions of a dead conductor held back",
        "deaths between a record and its action",
        "deaths between an action and its record",
    ] {
        assert!(summary.tally.conductors.contains_key(what), "{what} never: {:?}", summary.tally.conductors);
    }
    let done = ["available", "manageable", "active", "rescue", "enroll", "error"];
    let ends = &summary.tally.ends;
    assert!(ends.keys().all(|end| done.contains(end) || end.ends_with("failed")), "{ends:?}");
}

/// Which rule notices which way of breaking the service.
const NOTICED: [(Sabotage, &str); 9] = [
    (Sabotage::Unfenced, "one conductor at a time works on a machine"),
    (Sabotage::SendAgain, "no step that must not be repeated runs twice"),
    // A life, or a flow of it: whichever comes to its bound first.
    (Sabotage::NoTimers, "every "),
    (Sabotage::NoIntent, "the intent is recorded before the effect"),
    (Sabotage::NoLease, "the lease covers exactly what is done"),
    (Sabotage::KeepRamdisk, "what is active does not boot the ramdisk"),
    (Sabotage::SpareDisks, "what is available was cleaned after its last user"),
    (Sabotage::NoReason, "a failure has its reason"),
    (Sabotage::Jump, "only transitions of the table"),
];

#[test]
fn whoever_breaks_the_service_on_purpose_is_noticed() {
    assert_eq!(NOTICED.map(|(sabotage, _)| sabotage), Sabotage::ALL);
    for (sabotage, rule) in NOTICED {
        let options = Options {
            seed: 11,
            // Lives without deadlines are as long as lives may be.
            nodes: if sabotage == Sabotage::NoTimers { 4 } else { 60 },
            crashes: 60,
            faults: 20,
            sabotage: Some(sabotage),
            ..Options::default()
        };
        let summary = run(&options, THREADS);
        let by_rule = summary.told.iter().any(|life| life.breach.rule.starts_with(rule));
        let rules: Vec<_> = summary.told.iter().map(|life| life.breach.to_string()).collect();
        assert!(by_rule, "{sabotage:?} was not noticed: {rules:#?}");
    }
}
