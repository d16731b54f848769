//! What was read from the hardware of nodes: BIOS settings, firmware.

use model::{BiosSetting, FirmwareComponent, NodeUuid};

use super::{Db, Size};
use crate::{DbError, bios_setting, firmware_component};

impl Db {
    /// The BIOS settings of a node, by name.
    pub async fn bios_settings(&self, node: NodeUuid) -> Result<Vec<BiosSetting>, DbError> {
        self.read(Size::Point, move |session| bios_setting::list(session, node)).await
    }

    /// One BIOS setting of a node.
    pub async fn bios_setting(&self, node: NodeUuid, name: &str) -> Result<Option<BiosSetting>, DbError> {
        let name = name.to_owned();
        self.read(Size::Point, move |session| bios_setting::get(session, node, &name)).await
    }

    /// Makes the BIOS settings of a node those given; their times are the store's.
    ///
    /// # Errors
    /// `MissingReference` when there is no such node.
    pub async fn put_bios_settings(&self, node: NodeUuid, settings: Vec<BiosSetting>) -> Result<(), DbError> {
        self.write(move |session| bios_setting::replace(session, node, &settings)).await
    }

    /// The firmware components of a node, in the order in which they were seen first.
    pub async fn firmware_components(&self, node: NodeUuid) -> Result<Vec<FirmwareComponent>, DbError> {
        self.read(Size::Point, move |session| firmware_component::list(session, node)).await
    }

    /// Notes what was seen of firmware components of a node: `initial_version` counts when a component is seen first,
    /// and a `last_version_flashed` of `None` leaves the one that is known. Times are the store's.
    ///
    /// # Errors
    /// `MissingReference` when there is no such node.
    pub async fn note_firmware(
        &self,
        node: NodeUuid,
        components: Vec<FirmwareComponent>,
    ) -> Result<(), DbError> {
        self.write(move |session| firmware_component::note(session, node, &components)).await
    }
}
