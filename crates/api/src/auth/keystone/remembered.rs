//! What Keystone said of tokens, for a while. Tokens are kept as salted hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::token::Token;

/// A bounded memory of answers.
pub(super) struct Remembered {
    salt: [u8; 16],
    max: usize,
    answers: Mutex<HashMap<[u8; 32], Answer>>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// It is good.
    Good(Arc<Token>),
    /// It is not.
    Bad,
}

struct Answer {
    /// Nothing, when Keystone does not know the token.
    token: Option<Arc<Token>>,
    until: Timestamp,
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").field("max", &self.max).finish_non_exhaustive()
    }
}

impl Remembered {
    /// Remembers up to `max` answers.
    pub(super) fn new(max: usize) -> Self {
        Self { salt: *Uuid::new_v4().as_bytes(), max, answers: Mutex::default() }
    }

    /// What is known of a token now.
    pub(super) fn get(&self, token: &str, allow_expired: bool, now: Timestamp) -> Option<Known> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(&self.key(token)).filter(|answer| answer.until > now)?;
        match &answer.token {
            Some(token) if allow_expired || token.expires_at > now => Some(Known::Good(Arc::clone(token))),
            // What is no good for a caller may be good for a service that passes it on.
            _ => (!allow_expired).then_some(Known::Bad),
        }
    }

    /// Remembers an answer; the ones that end first go when there are too many.
    pub(super) fn put(&self, token: &str, answer: Option<Arc<Token>>, until: Timestamp, now: Timestamp) {
        let key = self.key(token);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= self.max && !answers.contains_key(&key) {
            answers.retain(|_, answer| answer.until > now);
        }
        if answers.len() >= self.max && !answers.contains_key(&key) {
            let mut ends: Vec<Timestamp> = answers.values().map(|answer| answer.until).collect();
            let (_, middle, _) = ends.select_nth_unstable(self.max / 2);
            let middle = *middle;
            answers.retain(|_, answer| answer.until > middle);
        }
        answers.insert(key, Answer { token: answer, until });
    }

    fn key(&self, token: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(token).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::Caller;

    use super::*;

    fn token(expires_at: Timestamp) -> Arc<Token> {
        Arc::new(Token { caller: Caller::default(), expires_at })
    }

    #[test]
    fn answers_end() {
        let memory = Remembered::new(8);
        let now = Timestamp::from_micros(0);
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        memory.put("good", Some(token(later(100))), later(300), now);
        memory.put("bad", None, later(10), now);
        let good = Some(Known::Good(token(later(100))));
        assert_eq!(memory.get("good", false, later(99)), good);
        assert_eq!(memory.get("good", false, later(100)), Some(Known::Bad), "it expired");
        assert_eq!(memory.get("good", true, later(200)), good, "a service passes it on");
        assert!(memory.get("good", true, later(300)).is_none(), "asked again");
        assert_eq!(memory.get("bad", false, later(9)), Some(Known::Bad));
        assert!(memory.get("bad", true, later(9)).is_none(), "asked again for a service");
        assert!(memory.get("bad", false, later(10)).is_none());
        assert!(memory.get("other", false, now).is_none());
    }

    #[test]
    fn there_is_room_for_the_newest() {
        let memory = Remembered::new(8);
        let now = Timestamp::from_micros(0);
        for number in 0_u64..100 {
            let until = now.plus(Duration::from_secs(1 + number));
            memory.put(&number.to_string(), Some(token(until)), until, now);
            assert!(memory.answers.lock().unwrap().len() <= 8);
            assert!(memory.get(&number.to_string(), false, now).is_some());
        }
    }
}
