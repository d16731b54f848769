//! Calls of other services that inspection rules ask for: GET, tried again for a while, answers not looked at.

use std::time::Duration;

use inspection::rules::ApiCall;
use reqwest::{Client, StatusCode, redirect};

/// Answers after which another attempt may help.
const AGAIN: [u16; 5] = [429, 500, 502, 503, 504];
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How many redirections are followed.
const REDIRECTS: usize = 5;

/// Sends a call; an error says what was tried and what came back, without what may be secret.
pub(super) async fn send(call: &ApiCall) -> Result<(), String> {
    let what = format!("{call:?}");
    let client = Client::builder().timeout(call.timeout).redirect(redirect::Policy::limited(REDIRECTS));
    let client = client.build().map_err(|error| format!("{what}: {}", error.without_url()))?;
    let mut pause = call.backoff;
    let mut attempt = 0;
    loop {
        let mut request = client.get(&call.url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let problem = match request.send().await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) if !is_passing(response.status()) => {
                return Err(format!("{what}: the answer is {}", response.status()));
            }
            Ok(response) => format!("the answer is {}", response.status()),
            Err(error) if error.is_builder() => return Err(format!("{what}: {}", error.without_url())),
            Err(error) => error.without_url().to_string(),
        };
        if attempt == call.retries {
            return Err(format!("{what}: {problem}, after {} attempts", attempt + 1));
        }
        attempt += 1;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_passing(status: StatusCode) -> bool {
    AGAIN.contains(&status.as_u16())
}
