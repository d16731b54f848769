//! The store: schema, migrations, one file of queries per noun. The only SQL in the tree.
//!
//! Every operation is a synchronous function over a small session trait, with one statement text for both engines:
//! SQLite (embedded, the default) and PostgreSQL. No connection and no transaction leaves the crate; callers see
//! [`Db`] and the nouns. It knows nothing of HTTP, drivers or what the states of a node mean.

mod account;
mod admission;
mod allocation;
mod bios_setting;
mod census;
mod chassis;
mod commit;
mod conductor;
mod db;
mod deploy_template;
mod error;
mod event;
mod filter;
mod firmware_component;
mod flow;
mod history;
mod inspection;
mod inspection_rule;
mod inventory;
mod measure;
mod message;
mod migrate;
mod node;
mod options;
mod paging;
mod planned_step;
mod port;
mod portgroup;
mod postgres;
mod power;
mod publisher;
mod record;
mod recorder;
mod runbook;
mod scope;
mod session;
mod sqlite;
mod statement;
mod stored;
mod told;
mod trace;
mod volume_connector;
mod volume_target;
mod wakeup;

pub use account::User;
pub use admission::Admission;
pub use allocation::{AllocationKey, AllocationQuery, Candidate};
pub use census::Census;
pub use commit::Commit;
pub use conductor::{CHANNEL as CONDUCTOR_CHANNEL, ConductorHardware, Registration, Term};
pub use db::Db;
pub use deploy_template::DeployTemplateKey;
pub use error::{Cause, DbError};
pub use event::{Event, EventPage, EventQuery, EventRetention, NewEvent, Whose};
pub use flow::{FlowChange, FlowRow, JournalRow, JournalWrite, StrayFlow};
pub use history::{HistoryEntry, HistoryQuery};
pub use inspection::Inspected;
pub use measure::METRICS;
pub use message::{MESSAGE_CHANNEL, Message, NewMessage};
pub use model::Scope;
pub use node::{NodeFilter, NodeKey, NodeQuery, NodeSort};
pub use options::{DatabaseUrl, HistoryRetention, InvalidDatabaseUrl, Options};
pub use paging::{Paging, Sort, Sorted};
pub use port::{PortFilter, PortKey, PortQuery, PortSort};
pub use portgroup::{PortgroupFilter, PortgroupKey, PortgroupQuery};
pub use postgres::SERVER_LIMITS;
pub use power::{PowerWatch, WatchedPower};
pub use runbook::{RunbookKey, RunbookQuery};
pub use trace::{BOOT_ATTEMPTS_PER_NODE, BOOT_EVENTS_PER_NODE};
pub use volume_connector::VolumeConnectorQuery;
pub use volume_target::VolumeTargetQuery;
pub use wakeup::Wakeup;
