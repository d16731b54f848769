//! The user that the first start makes.

use db::Db;
use model::Secret;
use rand::Rng;

/// Name of the user that the first start makes.
const ADMINISTRATOR: &str = "admin";

/// Cost of password hashes: about a quarter of a second on a slow core; verified ones are remembered.
const BCRYPT_COST: u32 = 10;

/// Makes a user when there is none, and tells the password once.
pub(crate) async fn first_administrator(db: &Db, announce: &impl Fn(&str)) -> anyhow::Result<()> {
    if !db.list_users().await?.is_empty() {
        return Ok(());
    }
    let password = new_password();
    let plain = password.clone();
    let hash = tokio::task::spawn_blocking(move || bcrypt::hash(plain.expose(), BCRYPT_COST)).await??;
    db.put_user(ADMINISTRATOR, &Secret::new(hash)).await?;
    announce(&format!("user: {ADMINISTRATOR}"));
    announce(&format!("administrator password: {}", password.expose()));
    announce("It is not shown again.");
    Ok(())
}

/// 24 characters of 31 that cannot be mistaken for one another: 118 bits.
fn new_password() -> Secret {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(24);
    while text.len() < 24 {
        let mut byte = [0_u8; 1];
        rand::rng().fill_bytes(&mut byte);
        // Bytes beyond the last whole multiple would make the first letters likelier.
        if let Some(letter) = LETTERS.get(usize::from(byte[0] % 32)).filter(|_| byte[0] < 248) {
            text.push(char::from(*letter));
        }
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, two) = (new_password(), new_password());
        assert_eq!(one.expose().len(), 24);
        assert_ne!(one, two);
    }
}
