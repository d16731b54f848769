//! A conductor that writes down what it is asked and answers always the same; made of the table of requests, so that it has
//! every method.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cluster::for_each_request;
use cluster::wire::Request;
use conductor_api::{
    Conductors, CurrentBootDevice, HardwareRequests, InterfaceVerdict, LookupReply, NodeProgress,
    RemainingStep, Reply, RequestError, VendorReply,
};
use model::{
    BootDevice, HardwareType, Indicator, IndicatorName, IndicatorState, InterfaceKind, JsonObject,
    MediaDrive, Node, VendorMethod,
};
use serde_json::{Value, json};

/// Writes down and answers.
pub(crate) struct Double {
    /// The node of its answers to lookups.
    pub(crate) node: Arc<Node>,
    /// What it answers instead, when it is to refuse.
    pub(crate) refusal: Mutex<Option<RequestError>>,
    /// What it was asked, secrets and all.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Double {
    pub(crate) fn new(node: Node) -> Self {
        Self { node: Arc::new(node), refusal: Mutex::default(), asked: Mutex::default() }
    }

    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer<T: Answer>(&self, request: &Request) -> Result<T, RequestError> {
        self.asked.lock().unwrap().push(serde_json::to_string(request).unwrap());
        match &*self.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(T::of(self)),
        }
    }
}

/// What it answers.
trait Answer {
    fn of(double: &Double) -> Self;
}

macro_rules! answers {
    ($($type:ty = |$double:pat_param| $value:expr;)*) => {$(
        impl Answer for $type {
            fn of($double: &Double) -> Self {
                $value
            }
        }
    )*};
}

answers! {
    () = |_| ();
    BTreeMap<InterfaceKind, InterfaceVerdict> = |_| BTreeMap::from([
        (InterfaceKind::Power, InterfaceVerdict { result: Some(true), reason: None }),
        (InterfaceKind::Boot, InterfaceVerdict { result: Some(false), reason: Some("no \"kernel\"\n".to_owned()) }),
        (InterfaceKind::Rescue, InterfaceVerdict { result: None, reason: Some("not supported".to_owned()) }),
    ]);
    BTreeMap<String, String> = |_| BTreeMap::from([("size_gb".to_owned(), "Größe \u{0} \u{1f600}".to_owned())]);
    BTreeMap<String, VendorMethod> = |_| BTreeMap::from([("blink".to_owned(), VendorMethod {
        http_methods: vec!["POST".to_owned()], is_async: true, description: String::new(), attach: false,
        require_exclusive_lock: None,
    })]);
    CurrentBootDevice = |_| CurrentBootDevice { boot_device: Some(BootDevice::Pxe), persistent: None };
    IndicatorState = |_| IndicatorState::Blinking;
    NodeProgress = |_| NodeProgress {
        flow: Some("deploy".to_owned()), bytes_done: Some(u64::MAX), deadline: None,
        remaining: vec![RemainingStep { step: "a.b".to_owned(), actions: vec!["power on".to_owned()] }],
        ..NodeProgress::default()
    };
    Option<Value> = |_| Some(Value::Null);
    Vec<BootDevice> = |_| BootDevice::ALL.to_vec();
    Vec<Indicator> = |_| vec![Indicator {
        name: IndicatorName { component: "system".to_owned(), name: "led".to_owned() }, readonly: true,
        states: IndicatorState::ALL.to_vec(),
    }];
    Vec<MediaDrive> = |_| vec![MediaDrive { media_types: vec!["CD".to_owned()], inserted: false, image: None }];
    Vec<Value> = |_| vec![json!({"id": "vif", "n": [1, -2, 3.25, null, true]})];
    VendorReply = |_| VendorReply { is_async: false, attach: true, value: json!("data") };
    LookupReply = |double| LookupReply {
        node: Arc::clone(&double.node),
        config: JsonObject::parse("{ \"z\": 1, \"agent_token\" : \"t0ken\"}").unwrap(),
    };
}

macro_rules! methods {
    ($($name:ident $method:ident [$by:ident $key:ident]
        { $($(#[$meta:meta])* $arg:ident: $type:ty,)* } -> $reply:ty;)*) => {$(
        fn $method(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            let request = Request::$name { $($arg),* };
            Box::pin(async move { self.answer(&request) })
        }
    )*};
}

macro_rules! double {
    ({ $($conductors:tt)* } { $($hardware:tt)* }) => {
        impl Conductors for Double {
            fn conductor_of(&self, _: &Node) -> Option<String> {
                None
            }

            fn hardware_types(&self) -> Arc<[HardwareType]> {
                Arc::new([])
            }

            fn hosts_of(&self, _: &str) -> Vec<String> {
                Vec::new()
            }

            methods! { $($conductors)* }
        }

        impl HardwareRequests for Double {
            methods! { $($hardware)* }
        }
    };
}

for_each_request!(double);

macro_rules! compare {
    ({ $($conductors:tt)* } { $($hardware:tt)* }) => { compare! { $($conductors)* $($hardware)* } };
    ($($name:ident $method:ident [$by:ident $key:ident]
        { $($(#[$meta:meta])* $arg:ident: $type:ty,)* } -> $reply:ty;)*) => {
        /// Asks both the same; fails when they answer differently. Whether they did it.
        pub(crate) async fn ask_both(request: Request, one: &dyn Conductors, other: &dyn Conductors) -> bool {
            match request {
                $(Request::$name { $($arg),* } => {
                    let first = one.$method($($arg.clone()),*).await;
                    let second = other.$method($($arg),*).await;
                    assert_eq!(first, second, stringify!($method));
                    first.is_ok()
                })*
            }
        }
    };
}

for_each_request!(compare);
