//! The operations on what nodes have and stand in: portgroups, chassis, volume connectors, volume targets.

use model::{
    Chassis, ChassisUuid, Portgroup, PortgroupUuid, VolumeConnector, VolumeConnectorUuid, VolumeTarget,
    VolumeTargetUuid,
};

use super::{Db, Size};
use crate::{
    DbError, Paging, PortgroupKey, PortgroupQuery, Scope, VolumeConnectorQuery, VolumeTargetQuery, chassis,
    portgroup, volume_connector, volume_target,
};

/// Portgroups.
impl Db {
    /// One portgroup; `None` when it is not there or its node not visible to `scope`.
    pub async fn get_portgroup(
        &self,
        key: &PortgroupKey,
        scope: &Scope,
    ) -> Result<Option<Portgroup>, DbError> {
        let (key, scope) = (key.clone(), scope.clone());
        self.read(Size::Point, move |session| portgroup::get(session, &key, &scope)).await
    }

    /// A page of portgroups.
    ///
    /// # Errors
    /// `MarkerNotFound`, `TooManyValues`.
    pub async fn list_portgroups(&self, query: &PortgroupQuery) -> Result<Vec<Portgroup>, DbError> {
        let query = query.clone();
        self.read(Size::of(query.paging.limit), move |session| portgroup::list(session, &query)).await
    }

    /// Stores a new portgroup; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid`, `name` or `address`; `MissingReference` when there is no such node.
    pub async fn create_portgroup(&self, portgroup: Portgroup) -> Result<Portgroup, DbError> {
        self.write(move |session| portgroup::create(session, portgroup)).await
    }

    /// Writes what differs between `before` and `after`; another physical network becomes that of the ports of the
    /// group, too. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the portgroup since `before` was read, `NotFound`, `Duplicate`,
    /// `MissingReference`.
    pub async fn update_portgroup(&self, before: &Portgroup, after: Portgroup) -> Result<Portgroup, DbError> {
        let before = before.clone();
        self.write(move |session| portgroup::update(session, &before, after)).await
    }

    /// Removes a portgroup.
    ///
    /// # Errors
    /// `InUse` while it has ports, `NotFound`.
    pub async fn delete_portgroup(&self, uuid: PortgroupUuid) -> Result<(), DbError> {
        self.write(move |session| portgroup::delete(session, uuid)).await
    }
}

/// Chassis.
impl Db {
    /// One chassis.
    pub async fn get_chassis(&self, uuid: ChassisUuid) -> Result<Option<Chassis>, DbError> {
        self.read(Size::Point, move |session| chassis::get(session, uuid)).await
    }

    /// A page of chassis.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_chassis(&self, paging: &Paging<Chassis>) -> Result<Vec<Chassis>, DbError> {
        let paging = paging.clone();
        self.read(Size::of(paging.limit), move |session| chassis::list(session, &paging)).await
    }

    /// Stores a new chassis; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid`.
    pub async fn create_chassis(&self, chassis: Chassis) -> Result<Chassis, DbError> {
        self.write(move |session| chassis::create(session, chassis)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the chassis since `before` was read, `NotFound`.
    pub async fn update_chassis(&self, before: &Chassis, after: Chassis) -> Result<Chassis, DbError> {
        let before = before.clone();
        self.write(move |session| chassis::update(session, &before, after)).await
    }

    /// Removes a chassis.
    ///
    /// # Errors
    /// `InUse` while nodes name it, `NotFound`.
    pub async fn delete_chassis(&self, uuid: ChassisUuid) -> Result<(), DbError> {
        self.write(move |session| chassis::delete(session, uuid)).await
    }
}

/// Volume connectors.
impl Db {
    /// One volume connector; `None` when it is not there or its node not visible to `scope`.
    pub async fn get_volume_connector(
        &self,
        uuid: VolumeConnectorUuid,
        scope: &Scope,
    ) -> Result<Option<VolumeConnector>, DbError> {
        let scope = scope.clone();
        self.read(Size::Point, move |session| volume_connector::get(session, uuid, &scope)).await
    }

    /// A page of volume connectors.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_volume_connectors(
        &self,
        query: &VolumeConnectorQuery,
    ) -> Result<Vec<VolumeConnector>, DbError> {
        let query = query.clone();
        self.read(Size::of(query.paging.limit), move |session| volume_connector::list(session, &query)).await
    }

    /// Stores a new volume connector; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid` or `connector_id`; `MissingReference` when there is no such node.
    pub async fn create_volume_connector(&self, item: VolumeConnector) -> Result<VolumeConnector, DbError> {
        self.write(move |session| volume_connector::create(session, item)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the volume connector since `before` was read, `NotFound`, `Duplicate`,
    /// `MissingReference`.
    pub async fn update_volume_connector(
        &self,
        before: &VolumeConnector,
        after: VolumeConnector,
    ) -> Result<VolumeConnector, DbError> {
        let before = before.clone();
        self.write(move |session| volume_connector::update(session, &before, after)).await
    }

    /// Removes a volume connector.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_volume_connector(&self, uuid: VolumeConnectorUuid) -> Result<(), DbError> {
        self.write(move |session| volume_connector::delete(session, uuid)).await
    }
}

/// Volume targets.
impl Db {
    /// One volume target; `None` when it is not there or its node not visible to `scope`.
    pub async fn get_volume_target(
        &self,
        uuid: VolumeTargetUuid,
        scope: &Scope,
    ) -> Result<Option<VolumeTarget>, DbError> {
        let scope = scope.clone();
        self.read(Size::Point, move |session| volume_target::get(session, uuid, &scope)).await
    }

    /// A page of volume targets.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_volume_targets(&self, query: &VolumeTargetQuery) -> Result<Vec<VolumeTarget>, DbError> {
        let query = query.clone();
        self.read(Size::of(query.paging.limit), move |session| volume_target::list(session, &query)).await
    }

    /// Stores a new volume target; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid` or `boot_index`; `MissingReference` when there is no such node.
    pub async fn create_volume_target(&self, item: VolumeTarget) -> Result<VolumeTarget, DbError> {
        self.write(move |session| volume_target::create(session, item)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the volume target since `before` was read, `NotFound`, `Duplicate`,
    /// `MissingReference`.
    pub async fn update_volume_target(
        &self,
        before: &VolumeTarget,
        after: VolumeTarget,
    ) -> Result<VolumeTarget, DbError> {
        let before = before.clone();
        self.write(move |session| volume_target::update(session, &before, after)).await
    }

    /// Removes a volume target.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_volume_target(&self, uuid: VolumeTargetUuid) -> Result<(), DbError> {
        self.write(move |session| volume_target::delete(session, uuid)).await
    }
}
