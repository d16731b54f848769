//! Refusals (DSP0266 section 8.6): the extended information of an error body, as readable text and as what it means.

use crate::document::{clean, text};
use core::fmt;
use serde_json::Value;

/// Messages of one body that are read.
const MAX_MESSAGES: usize = 8;

/// One message of a BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `Registry.Major.Minor.Key`, or whatever the BMC has in its place.
    pub id: Option<String>,
    /// What happened.
    pub text: Option<String>,
    /// What the BMC advises.
    pub resolution: Option<String>,
}

/// What a refusal means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The BMC or the machine is not ready now; the same request may work in a moment.
    NotNow,
    /// The user or the password is wrong, or the session is not known.
    Unauthenticated,
    /// The user may not do this.
    Forbidden,
    /// There are as many sessions as the BMC has room for.
    SessionLimit,
    /// The BMC wants the password changed before anything else.
    PasswordChange,
    /// The BMC lacks the licence for this.
    Licence,
    /// There is no such resource.
    NotFound,
    /// The state of the machine is against it; often it is in the wanted state already.
    Conflict,
    /// The condition of the request does not hold, or there must be one.
    Precondition,
    /// The request as such is not understood or not offered.
    Unsupported,
    /// None of these.
    Other,
}

/// Keys of messages and what they mean: of the registry Base, then of makers' own.
const MEANINGS: &[(&str, Meaning)] = &[
    ("PasswordChangeRequired", Meaning::PasswordChange),
    ("SessionLimitExceeded", Meaning::SessionLimit),
    ("CreateLimitReachedForResource", Meaning::SessionLimit),
    ("NoValidSession", Meaning::Unauthenticated),
    ("ResourceAtUriUnauthorized", Meaning::Unauthenticated),
    ("InsufficientPrivilege", Meaning::Forbidden),
    ("ServiceTemporarilyUnavailable", Meaning::NotNow),
    ("ServiceInUnknownState", Meaning::NotNow),
    ("ServiceShuttingDown", Meaning::NotNow),
    ("ResourceInUse", Meaning::NotNow),
    ("ResourceInStandby", Meaning::NotNow),
    ("ResourceNotReadyRetry", Meaning::NotNow),
    // iDRAC: "the server is not ready".
    ("SYS518", Meaning::NotNow),
    // iDRAC: a job is running, a configuration is pending.
    ("RAC0679", Meaning::NotNow),
    ("LC068", Meaning::NotNow),
    // iLO, while the firmware tests itself.
    ("UnableToModifyDuringSystemPOST", Meaning::NotNow),
    ("InvalidOperationForSystemState", Meaning::NotNow),
    ("OemLicenseNotPassed", Meaning::Licence),
    ("LicenseKeyRequired", Meaning::Licence),
    ("ActionParameterValueConflict", Meaning::Conflict),
    ("PropertyValueConflict", Meaning::Conflict),
    ("PropertyUnknown", Meaning::Unsupported),
    ("PropertyNotWritable", Meaning::Unsupported),
    ("PropertyValueNotInList", Meaning::Unsupported),
    ("ActionNotSupported", Meaning::Unsupported),
    ("ActionParameterNotSupported", Meaning::Unsupported),
    ("ActionParameterValueNotInList", Meaning::Unsupported),
];

/// A refusal by a BMC. Shows as one line of text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Status of HTTP.
    pub status: u16,
    /// What the body says; possibly nothing.
    pub messages: Vec<Message>,
}

impl Fault {
    /// Reads an error body. Anything will do: what is not understood is left out.
    pub fn from_value(status: u16, body: &Value) -> Self {
        let error = body.get("error").unwrap_or(body);
        // The list should be inside of "error"; some have it beside, some have a single message for the list.
        let extended = error
            .get("@Message.ExtendedInfo")
            .or_else(|| body.get("@Message.ExtendedInfo"))
            .unwrap_or(&Value::Null);
        let mut messages = messages(extended);
        if messages.iter().all(|message| message.text.is_none())
            && let Some(general) = text(error, "message").or_else(|| error.as_str().and_then(clean))
        {
            messages.push(Message { id: text(error, "code"), text: Some(general), resolution: None });
        }
        Self { status, messages }
    }

    /// What it means, by what the BMC says or else by the status.
    pub fn meaning(&self) -> Meaning {
        self.said().unwrap_or(match self.status {
            401 => Meaning::Unauthenticated,
            403 => Meaning::Forbidden,
            404 | 410 => Meaning::NotFound,
            409 => Meaning::Conflict,
            412 | 428 => Meaning::Precondition,
            400 | 405 | 406 | 415 | 422 | 501 => Meaning::Unsupported,
            429 | 500 | 502..=504 => Meaning::NotNow,
            _ => Meaning::Other,
        })
    }

    /// Whether the BMC did nothing and asks to be asked again: so a change can be repeated too. A bare 500 or a gateway's
    /// 502 and 504 leave open what was done.
    pub fn is_postponement(&self) -> bool {
        self.said() == Some(Meaning::NotNow) || (self.said().is_none() && matches!(self.status, 429 | 503))
    }

    /// What one of its messages means.
    fn said(&self) -> Option<Meaning> {
        let keys = self.messages.iter().filter_map(|message| message.id.as_deref());
        keys.map(|id| id.rsplit('.').next().unwrap_or(id)).find_map(|key| {
            MEANINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, meaning)| *meaning)
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        let mut separator = ": ";
        for message in &self.messages {
            let Some(said) = message.text.as_ref().or(message.id.as_ref()) else { continue };
            write!(f, "{separator}{}", said.trim_end_matches('.'))?;
            if let (Some(_), Some(id)) = (&message.text, &message.id) {
                write!(f, " ({id})")?;
            }
            let advice = message.resolution.as_deref().map(|advice| advice.trim_end_matches('.'));
            if let Some(advice) = advice.filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none"))
            {
                write!(f, " [{advice}]")?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

/// Reads a list of messages, or a single one in its place.
pub(crate) fn messages(value: &Value) -> Vec<Message> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        Value::Object(_) => core::slice::from_ref(value),
        _ => &[],
    };
    list.iter()
        .take(MAX_MESSAGES)
        .map(|message| Message {
            id: text(message, "MessageId").or_else(|| text(message, "MessageID")),
            text: text(message, "Message"),
            resolution: text(message, "Resolution"),
        })
        .filter(|message| message.id.is_some() || message.text.is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn extended_information_becomes_text() {
        let fault = Fault::from_value(
            400,
            &json!({"error": {
                "code": "Base.1.12.GeneralError", "message": "A general error has occurred. See ExtendedInfo.",
                "@Message.ExtendedInfo": [
                    {"MessageId": "IDRAC.2.8.SYS518", "Message": "Unable to complete the operation because iDRAC is not ready.",
                     "Resolution": "Wait for iDRAC to be ready and retry the operation.", "Severity": "Warning"},
                    {"MessageId": "Base.1.12.GeneralError", "Message": "A general error.", "Resolution": "None."},
                ]
            }}),
        );
        let text = fault.to_string();
        assert_eq!(
            text,
            "HTTP status 400: Unable to complete the operation because iDRAC is not ready (IDRAC.2.8.SYS518) \
             [Wait for iDRAC to be ready and retry the operation]; A general error (Base.1.12.GeneralError)"
        );
        assert_eq!(fault.meaning(), Meaning::NotNow);
    }

    #[test]
    fn bodies_of_every_shape_are_read() {
        let cases = [
            (json!({"error": {"message": "No.", "code": "x"}}), "HTTP status 418: No (x)"),
            (json!({"error": "No."}), "HTTP status 418: No"),
            (
                json!({"@Message.ExtendedInfo": {"MessageId": "Base.1.0.InsufficientPrivilege"}}),
                "HTTP status 418: Base.1.0.InsufficientPrivilege",
            ),
            (json!({"error": {"@Message.ExtendedInfo": [null, 3, {}]}}), "HTTP status 418"),
            (json!({}), "HTTP status 418"),
        ];
        for (body, text) in cases {
            assert_eq!(Fault::from_value(418, &body).to_string(), text);
        }
    }

    #[test]
    fn messages_mean_more_than_the_status() {
        let of = |status, id: &str| {
            Fault::from_value(status, &json!({"error": {"@Message.ExtendedInfo": [{"MessageId": id}]}}))
                .meaning()
        };
        assert_eq!(of(400, "iLO.2.14.UnableToModifyDuringSystemPOST"), Meaning::NotNow);
        assert_eq!(of(403, "Base.1.8.PasswordChangeRequired"), Meaning::PasswordChange);
        assert_eq!(of(503, "Base.1.8.SessionLimitExceeded"), Meaning::SessionLimit);
        assert_eq!(of(400, "SMC.1.0.OemLicenseNotPassed"), Meaning::Licence);
        assert_eq!(of(409, "Unknown.1.0.Thing"), Meaning::Conflict);
        let bare = |status| Fault { status, messages: Vec::new() };
        assert!(bare(503).is_postponement() && !bare(500).is_postponement());
        assert_eq!((bare(500).meaning(), bare(404).meaning()), (Meaning::NotNow, Meaning::NotFound));
    }

    #[test]
    fn giant_bodies_make_short_text() {
        let many: Vec<_> =
            (0..500).map(|_| json!({"MessageId": "a".repeat(5000), "Message": "b".repeat(5000)})).collect();
        let fault = Fault::from_value(500, &json!({"error": {"@Message.ExtendedInfo": many}}));
        assert!(fault.to_string().len() < 8000);
    }
}
