//! How values are kept: times as microseconds, booleans as 0 and 1, identifiers, states and JSON as text.

use std::borrow::Cow;

use model::{
    BootIntent, BootMode, ChassisUuid, Fault, FlowId, HistoryUuid, JsonObject, MacAddr, NodeUuid, PortUuid,
    PortgroupUuid, PowerState, PowerTarget, ProvisionState, Timestamp,
};

use crate::session::{Cell, Param};

/// A value that a column can hold.
pub(crate) trait Stored: Sized {
    /// The value as it is bound.
    fn param(&self) -> Param<'_>;

    /// The value of a cell; `None` when it is not one.
    fn read(cell: Cell<'_>) -> Option<Self>;
}

impl<T: Stored> Stored for Option<T> {
    fn param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, Stored::param)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::read(cell).map(Some),
        }
    }
}

impl Stored for i64 {
    fn param(&self) -> Param<'_> {
        Param::Int(*self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(value) => Some(value),
            _ => None,
        }
    }
}

impl Stored for bool {
    fn param(&self) -> Param<'_> {
        Param::Int((*self).into())
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(0) => Some(false),
            Cell::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl Stored for Timestamp {
    fn param(&self) -> Param<'_> {
        Param::Int(self.as_micros())
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        i64::read(cell).map(Self::from_micros)
    }
}

impl Stored for String {
    fn param(&self) -> Param<'_> {
        text(self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Stored for JsonObject {
    fn param(&self) -> Param<'_> {
        text(self.as_str())
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(Self::from_stored(text)),
            _ => None,
        }
    }
}

impl Stored for model::JsonList {
    fn param(&self) -> Param<'_> {
        text(self.as_str())
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(Self::from_stored(text)),
            _ => None,
        }
    }
}

/// A JSON list of their names.
impl Stored for Vec<model::Trait> {
    fn param(&self) -> Param<'_> {
        let names: Vec<&str> = self.iter().map(model::Trait::as_str).collect();
        Param::Text(Cow::Owned(serde_json::json!(names).to_string()))
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => {
                let names: Vec<String> = serde_json::from_str(text).ok()?;
                names.iter().map(|name| name.parse().ok()).collect()
            }
            _ => None,
        }
    }
}

/// A JSON list.
impl Stored for Vec<NodeUuid> {
    fn param(&self) -> Param<'_> {
        Param::Text(Cow::Owned(serde_json::json!(self).to_string()))
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}

/// Types with a fixed name for each value.
macro_rules! named {
    ($($name:ty: $parse:expr;)*) => {$(
        impl Stored for $name {
            fn param(&self) -> Param<'_> {
                text(self.as_str())
            }

            fn read(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Text(text) => {
                        let parse: fn(&str) -> Option<Self> = $parse;
                        parse(text)
                    }
                    _ => None,
                }
            }
        }
    )*};
}

named! {
    ProvisionState: |text| text.parse().ok();
    PowerState: |text| text.parse().ok();
    PowerTarget: |text| text.parse().ok();
    BootMode: |text| text.parse().ok();
    BootIntent: |text| Some(Self::from_stored(text));
    model::AllocationState: |text| text.parse().ok();
    Fault: |text| Self::ALL.into_iter().find(|fault| fault.as_str() == text);
}

/// Types that are shown and parsed.
macro_rules! shown {
    ($($name:ty),*) => {$(
        impl Stored for $name {
            fn param(&self) -> Param<'_> {
                Param::Text(Cow::Owned(self.to_string()))
            }

            fn read(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

shown!(model::DeployTemplateUuid, model::RunbookUuid, model::InspectionRuleUuid);
shown!(NodeUuid, PortUuid, PortgroupUuid, ChassisUuid, FlowId, HistoryUuid, MacAddr);
shown!(model::AllocationUuid);
shown!(model::VolumeConnectorUuid, model::VolumeTargetUuid);

/// Borrowed text as a parameter.
pub(crate) fn text(text: &str) -> Param<'_> {
    Param::Text(Cow::Borrowed(text))
}

/// A number of rows as a parameter.
pub(crate) fn limit(rows: usize) -> Param<'static> {
    Param::Int(i64::try_from(rows).unwrap_or(i64::MAX))
}
