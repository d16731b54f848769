//! Messages between processes, and who publishes events.

use std::time::Duration;

use db::{Db, DbError, MESSAGE_CHANNEL, NewMessage, Registration, Term, Wakeup};

use crate::fixtures::full;

const LONG: Duration = Duration::from_mins(5);

fn message(recipient: &str, body: &str, wanted: Duration) -> NewMessage {
    NewMessage {
        recipient: recipient.to_owned(),
        reply_to: Some("process".to_owned()),
        correlation: format!("about {body}"),
        body: body.to_owned(),
        wanted,
    }
}

pub(crate) async fn each_is_taken_once_and_in_order(db: Db) {
    let mut wakeups = db.wakeups();
    for body in ["one", "two", "three"] {
        db.send_message(message("c1", body, LONG)).await.unwrap();
    }
    db.send_message(message("c2", "other", LONG)).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(20), wakeups.recv()).await.unwrap().unwrap();
    assert_eq!(woken, Wakeup::Notice { channel: MESSAGE_CHANNEL.to_owned(), payload: "c1".to_owned() });
    let taken = db.take_messages("c1", 2).await.unwrap();
    let bodies: Vec<&str> = taken.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["one", "two"]);
    assert_eq!(taken[0].correlation, "about one");
    assert_eq!(taken[0].reply_to.as_deref(), Some("process"));
    assert!(taken[0].left.is_some_and(|left| left > Duration::from_mins(2) && left <= LONG));
    assert!(!format!("{:?}", taken[0]).contains("one"));
    assert_eq!(db.take_messages("c1", 9).await.unwrap().len(), 1);
    assert!(db.take_messages("c1", 9).await.unwrap().is_empty());
    assert_eq!(db.take_messages("c2", 9).await.unwrap().len(), 1);
}

pub(crate) async fn who_was_taken_for_dead_takes_nothing(db: Db) {
    let register = async || {
        let registration = Registration {
            hostname: "h".to_owned(),
            conductor_group: String::new(),
            hardware_types: Vec::new(),
        };
        Term::from(&db.register_conductor(registration).await.unwrap())
    };
    let old = register().await;
    let new = register().await;
    db.send_message(message("c", "one", LONG)).await.unwrap();
    let late = db.take_messages_as(&old, "c", 9).await;
    assert!(matches!(late, Err(DbError::Fenced { .. })), "{late:?}");
    assert_eq!(db.take_messages_as(&new, "c", 9).await.unwrap().len(), 1);
}

pub(crate) async fn of_many_takers_one_gets_it(db: Db) {
    for index in 0..60 {
        db.send_message(message("c", &index.to_string(), LONG)).await.unwrap();
    }
    let takers: Vec<_> = (0..6)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let some = db.take_messages("c", 5).await.unwrap();
                    // Who waited for others' rows finds none of its own, though there are more.
                    if some.is_empty() && db.read_messages("c", 1).await.unwrap().is_empty() {
                        return taken;
                    }
                    taken.extend(some.into_iter().map(|message| message.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for taker in takers {
        all.extend(taker.await.unwrap());
    }
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (60, 60));
}

pub(crate) async fn what_is_read_stays_until_it_is_dropped(db: Db) {
    for body in ["one", "two", "three"] {
        db.send_message(message("p", body, LONG)).await.unwrap();
    }
    let read = db.read_messages("p", 2).await.unwrap();
    assert_eq!(read.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(db.read_messages("p", 9).await.unwrap().len(), 3);
    db.drop_messages(&[read[0].id, read[1].id]).await.unwrap();
    assert_eq!(db.read_messages("p", 9).await.unwrap()[0].body, "three");
    assert_eq!(db.read_messages("p", 9).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_late_is_said_and_dropped(db: Db) {
    db.send_message(message("c", "late", Duration::ZERO)).await.unwrap();
    db.send_message(message("c", "in time", LONG)).await.unwrap();
    let both = db.read_messages("c", 9).await.unwrap();
    assert_eq!((both[0].left, both[1].left.is_some()), (None, true));
    // The clock of an embedded store goes in milliseconds.
    while db.prune_messages().await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let rest = db.read_messages("c", 9).await.unwrap();
    assert_eq!(rest.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["in time"]);
}

pub(crate) async fn one_publishes_at_a_time(db: Db) {
    db.create_node(full("one")).await.unwrap();
    let newest = db.last_event().await.unwrap();
    assert_eq!(db.claim_publishing("bus", "a", LONG).await.unwrap(), Some(newest));
    assert_eq!(db.claim_publishing("bus", "b", LONG).await.unwrap(), None);
    assert_eq!(db.claim_publishing("bus", "a", LONG).await.unwrap(), Some(newest));
    assert!(db.advance_publishing("bus", "a", newest + 3, LONG).await.unwrap());
    assert!(!db.advance_publishing("bus", "b", newest + 9, LONG).await.unwrap());
    db.resign_publishing("bus", "b").await.unwrap();
    assert_eq!(db.claim_publishing("bus", "b", LONG).await.unwrap(), None);
    db.resign_publishing("bus", "a").await.unwrap();
    // Its time is over: whoever asks next goes on where it was.
    assert_eq!(db.claim_publishing("bus", "b", Duration::ZERO).await.unwrap(), Some(newest + 3));
    let mut again = None;
    while again.is_none() {
        again = db.claim_publishing("bus", "c", LONG).await.unwrap();
    }
    assert_eq!(again, Some(newest + 3));
    assert!(!db.advance_publishing("bus", "b", newest + 4, LONG).await.unwrap());
}
