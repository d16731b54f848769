//! Root device hints: what `properties.root_device` demands of the disk that gets the operating system.
//! Knows no disk but by its description.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

const GIB: u64 = 1 << 30;

/// One attribute of a disk that a hint may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `model`.
    Model,
    /// `vendor`.
    Vendor,
    /// `serial`.
    Serial,
    /// `size`, in GiB.
    Size,
    /// `wwn`.
    Wwn,
    /// `wwn_with_extension`.
    WwnWithExtension,
    /// `wwn_vendor_extension`.
    WwnVendorExtension,
    /// `rotational`.
    Rotational,
    /// `hctl`.
    Hctl,
    /// `name`.
    Name,
    /// `by_path`.
    ByPath,
    /// `tran`: `sata`, `nvme` and so on.
    Tran,
}

impl Attribute {
    /// Its key in an inventory's list of disks, and in the hints.
    pub fn name(self) -> &'static str {
        ATTRIBUTES.iter().find(|(_, attribute)| *attribute == self).map_or("", |(name, _)| name)
    }
}

/// A disk as it is described.
pub trait Disk {
    /// An attribute that is text; `None` for one that is not known.
    fn text(&self, attribute: Attribute) -> Option<&str>;
    /// Bytes.
    fn size(&self) -> u64;
    /// Whether it spins.
    fn rotational(&self) -> bool;
}

const ATTRIBUTES: &[(&str, Attribute)] = &[
    ("model", Attribute::Model),
    ("vendor", Attribute::Vendor),
    ("serial", Attribute::Serial),
    ("size", Attribute::Size),
    ("wwn", Attribute::Wwn),
    ("wwn_with_extension", Attribute::WwnWithExtension),
    ("wwn_vendor_extension", Attribute::WwnVendorExtension),
    ("rotational", Attribute::Rotational),
    ("hctl", Attribute::Hctl),
    ("name", Attribute::Name),
    ("by_path", Attribute::ByPath),
    ("tran", Attribute::Tran),
];

/// How a value must relate to the hint's.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// `s==` and plain text.
    TextEqual(String),
    TextNotEqual(String),
    TextLess(String),
    TextLessOrEqual(String),
    TextGreater(String),
    TextGreaterOrEqual(String),
    /// `<in>`: the hint's text occurs in the value.
    Contains(String),
    /// `<all-in>`: every word of the hint occurs in the value.
    ContainsAll(Vec<String>),
    /// `<or>`: the value equals one of the hint's.
    OneOf(Vec<String>),
    NumberEqual(f64),
    NumberNotEqual(f64),
    NumberLess(f64),
    NumberLessOrEqual(f64),
    NumberGreater(f64),
    /// `>=`, and `=`, which Ironic has always read so.
    NumberGreaterOrEqual(f64),
    /// `<range-in>`: between two numbers, each of which belongs to the range or not.
    Within {
        lower: f64,
        with_lower: bool,
        upper: f64,
        with_upper: bool,
    },
    Is(bool),
}

/// Root device hints, parsed. All must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hints {
    tests: Vec<(Attribute, Test)>,
    text: String,
}

/// `root_device` is not an object of known hints.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("root device hints are not valid: {reason}")]
pub struct InvalidHints {
    /// What is wrong with which hint.
    pub reason: String,
}

fn invalid(reason: impl Into<String>) -> InvalidHints {
    InvalidHints { reason: reason.into() }
}

impl Hints {
    /// From `properties.root_device` or `instance_info.root_device`: an object of strings, `size` also a number,
    /// `rotational` also a boolean. Null and `{}` mean no hints.
    pub fn parse(value: &Value) -> Result<Self, InvalidHints> {
        let object = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => return Err(invalid("not an object")),
        };
        let mut tests = Vec::with_capacity(object.len());
        for (key, value) in object {
            let attribute = ATTRIBUTES
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, attribute)| *attribute)
                .ok_or_else(|| invalid(format!("{key:?} is not a hint")))?;
            let test = parse_test(attribute, value).map_err(|reason| invalid(format!("{key}: {reason}")))?;
            tests.push((attribute, test));
        }
        Ok(Self { tests, text: if object.is_empty() { String::new() } else { value.to_string() } })
    }

    /// Whether there is no hint at all.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether `disk` satisfies every hint.
    pub fn accepts(&self, disk: &impl Disk) -> bool {
        self.tests.iter().all(|(attribute, test)| holds(*attribute, test, disk))
    }
}

impl fmt::Display for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "{}" } else { &self.text })
    }
}

fn parse_test(attribute: Attribute, value: &Value) -> Result<Test, String> {
    match (attribute, value) {
        (Attribute::Rotational, Value::Bool(flag)) => Ok(Test::Is(*flag)),
        (Attribute::Rotational, Value::String(text)) => parse_bool(text).map(Test::Is),
        (Attribute::Rotational, _) => Err("must be a boolean".into()),
        (Attribute::Size, Value::Number(number)) => parse_size(&number.to_string()),
        (Attribute::Size, Value::String(text)) => parse_size(text),
        (Attribute::Size, _) => Err("must be a number of GiB, with or without an operator".into()),
        (_, Value::String(text)) => parse_text(&text.to_lowercase()),
        _ => Err("must be a string".into()),
    }
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(format!("{text:?} is not a boolean")),
    }
}

/// Splits at the first white space: operator and operand, or no operator.
fn split_operator(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim()),
        None => ("", text),
    }
}

fn parse_size(text: &str) -> Result<Test, String> {
    let (operator, operand) = split_operator(text);
    if operator == "<or>" {
        return Ok(Test::OneOf(alternatives(text)));
    }
    if operator == "<range-in>" {
        return parse_range(operand);
    }
    // An operator may also touch its number: ">=10".
    let (operator, operand) = if operator.is_empty() {
        operand.split_at(operand.find(|c: char| !"=!<>".contains(c)).unwrap_or(operand.len()))
    } else {
        (operator, operand)
    };
    let number: f64 = operand.trim().parse().map_err(|_| format!("{text:?} is not a number of GiB"))?;
    if !number.is_finite() || number < 0.0 {
        return Err(format!("{text:?} is not a number of GiB"));
    }
    match operator {
        "" | "==" | "s==" => Ok(Test::NumberEqual(number)),
        "=" | ">=" | "s>=" => Ok(Test::NumberGreaterOrEqual(number)),
        "!=" | "s!=" => Ok(Test::NumberNotEqual(number)),
        "<" | "s<" => Ok(Test::NumberLess(number)),
        "<=" | "s<=" => Ok(Test::NumberLessOrEqual(number)),
        ">" | "s>" => Ok(Test::NumberGreater(number)),
        _ => Err(format!("{operator:?} is not an operator")),
    }
}

/// `[ 10 20 ]`, `( 10 20 ]` and so on: a round bracket leaves its number out.
fn parse_range(text: &str) -> Result<Test, String> {
    let wrong = || format!("{text:?} is not a range such as \"[ 10 20 ]\"");
    let words: Vec<&str> = text.split_whitespace().collect();
    let [opening @ ("[" | "("), lower, upper, closing @ ("]" | ")")] = words[..] else { return Err(wrong()) };
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let (lower, upper) = number(lower).zip(number(upper)).ok_or_else(wrong)?;
    if lower > upper {
        return Err(wrong());
    }
    Ok(Test::Within { lower, with_lower: opening == "[", upper, with_upper: closing == "]" })
}

fn alternatives(text: &str) -> Vec<String> {
    text.split("<or>").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn parse_text(text: &str) -> Result<Test, String> {
    let (operator, operand) = split_operator(text);
    let own = || operand.to_owned();
    let number = || operand.parse::<f64>().map_err(|_| format!("{operand:?} is not a number"));
    Ok(match operator {
        "s==" => Test::TextEqual(own()),
        "s!=" => Test::TextNotEqual(own()),
        "s<" => Test::TextLess(own()),
        "s<=" => Test::TextLessOrEqual(own()),
        "s>" => Test::TextGreater(own()),
        "s>=" => Test::TextGreaterOrEqual(own()),
        "<in>" => Test::Contains(own()),
        "<all-in>" => Test::ContainsAll(operand.split_whitespace().map(str::to_owned).collect()),
        "<or>" => Test::OneOf(alternatives(text)),
        "<range-in>" => parse_range(operand)?,
        "=" | ">=" => Test::NumberGreaterOrEqual(number()?),
        "==" => Test::NumberEqual(number()?),
        "!=" => Test::NumberNotEqual(number()?),
        "<" => Test::NumberLess(number()?),
        "<=" => Test::NumberLessOrEqual(number()?),
        ">" => Test::NumberGreater(number()?),
        // A value with a space in it ("super disk") is no operator and operand.
        _ => Test::TextEqual(text.trim().to_owned()),
    })
}

fn holds(attribute: Attribute, test: &Test, disk: &impl Disk) -> bool {
    if let Test::Is(flag) = test {
        return disk.rotational() == *flag;
    }
    if attribute == Attribute::Size {
        // Whole GiB, as Ironic counts: a disk of 10.4 GiB is one of 10.
        let gib = disk.size() / GIB;
        return match test {
            Test::OneOf(words) => words.iter().any(|word| word.parse() == Ok(gib)),
            _ => holds_number(test, precise(gib)),
        };
    }
    let Some(value) = disk.text(attribute) else { return false };
    holds_text(test, &value.trim().to_lowercase())
}

/// Sizes in GiB and numeric attributes are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a size in GiB has fewer than 53 bits")]
fn precise(value: u64) -> f64 {
    value as f64
}

fn holds_text(test: &Test, value: &str) -> bool {
    match test {
        Test::TextEqual(text) => value == text,
        Test::TextNotEqual(text) => value != text,
        Test::TextLess(text) => value < text.as_str(),
        Test::TextLessOrEqual(text) => value <= text.as_str(),
        Test::TextGreater(text) => value > text.as_str(),
        Test::TextGreaterOrEqual(text) => value >= text.as_str(),
        Test::Contains(text) => value.contains(text.as_str()),
        Test::ContainsAll(words) => words.iter().all(|word| value.contains(word.as_str())),
        Test::OneOf(words) => words.iter().any(|word| word == value),
        _ => value.parse().is_ok_and(|number| holds_number(test, number)),
    }
}

#[expect(
    clippy::float_cmp,
    reason = "whole numbers are compared; a hint of 10.5 GiB equals no disk, as in Ironic"
)]
fn holds_number(test: &Test, value: f64) -> bool {
    match test {
        Test::NumberEqual(number) => value == *number,
        Test::NumberNotEqual(number) => value != *number,
        Test::NumberLess(number) => value < *number,
        Test::NumberLessOrEqual(number) => value <= *number,
        Test::NumberGreater(number) => value > *number,
        Test::NumberGreaterOrEqual(number) => value >= *number,
        Test::Within { lower, with_lower, upper, with_upper } => {
            let above = if *with_lower { value >= *lower } else { value > *lower };
            let below = if *with_upper { value <= *upper } else { value < *upper };
            above && below
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Described {
        name: String,
        gib: u64,
    }

    impl Disk for Described {
        fn text(&self, attribute: Attribute) -> Option<&str> {
            match attribute {
                Attribute::Name => Some(&self.name),
                Attribute::Model => Some("Fast Disk 3000"),
                Attribute::Vendor => Some("ACME"),
                Attribute::Serial => self.name.strip_prefix("/dev/"),
                Attribute::Hctl => Some("1:0:0:0"),
                Attribute::Tran => Some("sas"),
                _ => None,
            }
        }

        fn size(&self) -> u64 {
            self.gib * GIB + 4096
        }

        fn rotational(&self) -> bool {
            self.gib > 100
        }
    }

    fn disk(name: &str, gib: u64) -> Described {
        Described { name: name.into(), gib }
    }

    fn names(hints: &Value, disks: &[Described]) -> Vec<String> {
        let hints = Hints::parse(hints).unwrap();
        disks.iter().filter(|disk| hints.accepts(*disk)).map(|disk| disk.name.clone()).collect()
    }

    #[test]
    fn operators() {
        let disks = [disk("/dev/sda", 10), disk("/dev/sdb", 20), disk("/dev/sdc", 500)];
        for (hints, expected) in [
            (json!({"size": 10}), "a"),
            (json!({"size": "20"}), "b"),
            (json!({"size": "= 20"}), "bc"),
            (json!({"size": ">=20"}), "bc"),
            (json!({"size": "== 20"}), "b"),
            (json!({"size": "!= 20"}), "ac"),
            (json!({"size": "< 20"}), "a"),
            (json!({"size": "<= 20"}), "ab"),
            (json!({"size": "> 20"}), "c"),
            (json!({"size": "<or> 10 <or> 500"}), "ac"),
            (json!({"rotational": true}), "c"),
            (json!({"rotational": "no"}), "ab"),
            (json!({"model": "fast disk 3000"}), "abc"),
            (json!({"model": "fast disk"}), ""),
            (json!({"model": "<in> DISK"}), "abc"),
            (json!({"model": "<all-in> 3000 fast"}), "abc"),
            (json!({"model": "<all-in> 3000 slow"}), ""),
            (json!({"vendor": "s!= acme"}), ""),
            (json!({"name": "s> /dev/sda"}), "bc"),
            (json!({"name": "s>= /dev/sdb"}), "bc"),
            (json!({"name": "s< /dev/sdb"}), "a"),
            (json!({"name": "s<= /dev/sdb"}), "ab"),
            (json!({"name": "<or> /dev/sda <or> /dev/sdc"}), "ac"),
            (json!({"serial": "s== SDB"}), "b"),
            (json!({"tran": "SAS"}), "abc"),
            (json!({"size": "<range-in> [ 10 20 ]"}), "ab"),
            (json!({"size": "<range-in> ( 10 20 ]"}), "b"),
            (json!({"size": "<range-in> [ 10 20 )"}), "a"),
            (json!({"size": "<range-in> ( 10 20 )"}), ""),
            (json!({"hctl": "1:0:0:0", "size": "> 10"}), "bc"),
            (json!({"wwn": "0x1"}), ""),
        ] {
            let found: String = names(&hints, &disks).iter().filter_map(|name| name.chars().last()).collect();
            assert_eq!(found, expected, "{hints}");
        }
    }

    #[test]
    fn bad_hints_say_which() {
        for (hints, part) in [
            (json!({"colour": "red"}), "colour"),
            (json!({"size": "big"}), "size"),
            (json!({"size": "~ 3"}), "operator"),
            (json!({"size": true}), "size"),
            (json!({"size": "<range-in> [ 20 10 ]"}), "range"),
            (json!({"size": "<range-in> 10 20"}), "range"),
            (json!({"rotational": "maybe"}), "rotational"),
            (json!({"model": 3}), "model"),
            (json!(["model"]), "object"),
        ] {
            let error = Hints::parse(&hints).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn attributes_have_names() {
        for (name, attribute) in ATTRIBUTES {
            assert_eq!(attribute.name(), *name);
        }
    }
}
