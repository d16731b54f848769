//! Management that obeys at once: for trying clients and for tests of the API.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use driver::{Answer, DriverError, Indicators, Management, Media};
use model::{
    BootDevice, BootMode, Indicator, IndicatorName, IndicatorState, MediaDevice, MediaDrive, MediaImage,
    Node, NodeUuid,
};
use provision::Observed;

/// What was set on a machine that is not there.
#[derive(Debug, Clone, Default)]
struct Settings {
    boot_device: Option<(BootDevice, bool)>,
    lights: HashMap<String, IndicatorState>,
    media: HashMap<MediaDevice, String>,
}

/// Settings of machines that are not there; forgotten at a restart.
#[derive(Debug, Default)]
pub struct FakeManagement {
    settings: Mutex<HashMap<NodeUuid, Settings>>,
}

impl FakeManagement {
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeUuid, Settings>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, node: &Node) -> Settings {
        self.lock().get(&node.uuid).cloned().unwrap_or_default()
    }

    fn write(&self, node: &Node, write: impl FnOnce(&mut Settings)) -> Answer<'static, ()> {
        write(self.lock().entry(node.uuid).or_default());
        Box::pin(async { Ok(()) })
    }
}

impl Management for FakeManagement {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn supported_boot_devices(&self, _node: &Node) -> Vec<BootDevice> {
        vec![BootDevice::Pxe]
    }

    fn boot_device<'a>(&'a self, node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        let (device, persistent) = self.of(node).boot_device.unwrap_or((BootDevice::Pxe, false));
        Box::pin(async move { Ok((Some(device), Some(persistent))) })
    }

    fn set_boot_device<'a>(&'a self, node: &'a Node, device: BootDevice, persistent: bool) -> Answer<'a, ()> {
        self.write(node, |settings| settings.boot_device = Some((device, persistent)))
    }

    fn set_boot_mode<'a>(&'a self, _node: &'a Node, _mode: BootMode) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn set_secure_boot<'a>(&'a self, _node: &'a Node, _on: bool) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn inject_nmi<'a>(&'a self, _node: &'a Node) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn facts<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }

    fn indicators(&self) -> Option<&dyn Indicators> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn Media> {
        Some(self)
    }
}

/// A light on the chassis that can only be looked at, and one of the system that can be set.
impl Indicators for FakeManagement {
    fn list<'a>(&'a self, _node: &'a Node) -> Answer<'a, Vec<Indicator>> {
        let light = |component: &str, name: &str, readonly, states: &[IndicatorState]| Indicator {
            name: IndicatorName { component: component.to_owned(), name: name.to_owned() },
            readonly,
            states: states.to_vec(),
        };
        let (off, on, blinking) = (IndicatorState::Off, IndicatorState::On, IndicatorState::Blinking);
        let lights = vec![
            light("chassis", "led-0", true, &[off, on]),
            light("system", "led", false, &[blinking, off, on]),
        ];
        Box::pin(async { Ok(lights) })
    }

    fn state<'a>(&'a self, node: &'a Node, name: &'a IndicatorName) -> Answer<'a, IndicatorState> {
        let state = self.of(node).lights.get(&name.to_string()).copied();
        Box::pin(async move { Ok(state.unwrap_or(IndicatorState::On)) })
    }

    fn set<'a>(&'a self, node: &'a Node, name: &'a IndicatorName, state: IndicatorState) -> Answer<'a, ()> {
        self.write(node, |settings| {
            settings.lights.insert(name.to_string(), state);
        })
    }
}

/// A drive for each kind of device.
impl Media for FakeManagement {
    fn drives<'a>(&'a self, node: &'a Node) -> Answer<'a, Vec<MediaDrive>> {
        let images = self.of(node).media;
        let drive = |device, kinds: &[&str]| MediaDrive {
            media_types: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            inserted: images.contains_key(&device),
            image: images.get(&device).cloned(),
        };
        let drives = vec![
            drive(MediaDevice::Cdrom, &["CD", "DVD"]),
            drive(MediaDevice::Disk, &["USBStick"]),
            drive(MediaDevice::Floppy, &["Floppy"]),
        ];
        Box::pin(async { Ok(drives) })
    }

    fn attach<'a>(&'a self, node: &'a Node, image: &'a MediaImage) -> Answer<'a, ()> {
        self.write(node, |settings| {
            settings.media.insert(image.device, image.url.clone());
        })
    }

    fn detach<'a>(&'a self, node: &'a Node, devices: &'a [MediaDevice]) -> Answer<'a, ()> {
        self.write(node, |settings| settings.media.retain(|device, _| !devices.contains(device)))
    }
}
