//! What is planned for nodes, and what was found on them: deploy templates, runbooks, inspection rules, inventories.

use model::{
    DeployTemplate, DeployTemplateUuid, InspectionRule, InspectionRuleUuid, NodeInventory, NodeUuid, Runbook,
    RunbookUuid,
};

use super::{Db, Size};
use crate::{
    DbError, DeployTemplateKey, Paging, RunbookKey, RunbookQuery, Scope, deploy_template, inspection_rule,
    inventory, runbook,
};

/// Deploy templates.
impl Db {
    /// One deploy template, with its steps.
    pub async fn get_deploy_template(
        &self,
        key: &DeployTemplateKey,
    ) -> Result<Option<DeployTemplate>, DbError> {
        let key = key.clone();
        self.read(Size::Point, move |session| deploy_template::get(session, &key)).await
    }

    /// A page of deploy templates.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_deploy_templates(
        &self,
        paging: &Paging<DeployTemplate>,
    ) -> Result<Vec<DeployTemplate>, DbError> {
        let paging = paging.clone();
        self.read(Size::of(paging.limit), move |session| deploy_template::list(session, &paging)).await
    }

    /// Those of these names, oldest first. At most 16,384 names.
    pub async fn deploy_templates_named(&self, names: Vec<String>) -> Result<Vec<DeployTemplate>, DbError> {
        self.read(Size::Point, move |session| deploy_template::named(session, &names)).await
    }

    /// Stores a new deploy template; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid` or `name`.
    pub async fn create_deploy_template(&self, item: DeployTemplate) -> Result<DeployTemplate, DbError> {
        self.write(move |session| deploy_template::create(session, item)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote it since `before` was read, `NotFound`, `Duplicate`.
    pub async fn update_deploy_template(
        &self,
        before: &DeployTemplate,
        after: DeployTemplate,
    ) -> Result<DeployTemplate, DbError> {
        let before = before.clone();
        self.write(move |session| deploy_template::update(session, &before, after)).await
    }

    /// Removes a deploy template.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_deploy_template(&self, uuid: DeployTemplateUuid) -> Result<(), DbError> {
        self.write(move |session| deploy_template::delete(session, uuid)).await
    }
}

/// Runbooks.
impl Db {
    /// One runbook, with its steps; `None` when it is not there or not visible to `scope`.
    pub async fn get_runbook(&self, key: &RunbookKey, scope: &Scope) -> Result<Option<Runbook>, DbError> {
        let (key, scope) = (key.clone(), scope.clone());
        self.read(Size::Point, move |session| runbook::get(session, &key, &scope)).await
    }

    /// A page of runbooks.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_runbooks(&self, query: &RunbookQuery) -> Result<Vec<Runbook>, DbError> {
        let query = query.clone();
        self.read(Size::of(query.paging.limit), move |session| runbook::list(session, &query)).await
    }

    /// Stores a new runbook; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid` or `name`.
    pub async fn create_runbook(&self, item: Runbook) -> Result<Runbook, DbError> {
        self.write(move |session| runbook::create(session, item)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote it since `before` was read, `NotFound`, `Duplicate`.
    pub async fn update_runbook(&self, before: &Runbook, after: Runbook) -> Result<Runbook, DbError> {
        let before = before.clone();
        self.write(move |session| runbook::update(session, &before, after)).await
    }

    /// Removes a runbook.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_runbook(&self, uuid: RunbookUuid) -> Result<(), DbError> {
        self.write(move |session| runbook::delete(session, uuid)).await
    }
}

/// Inspection rules.
impl Db {
    /// One inspection rule.
    pub async fn get_inspection_rule(
        &self,
        uuid: InspectionRuleUuid,
    ) -> Result<Option<InspectionRule>, DbError> {
        self.read(Size::Point, move |session| inspection_rule::get(session, uuid)).await
    }

    /// A page of inspection rules.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn list_inspection_rules(
        &self,
        paging: &Paging<InspectionRule>,
    ) -> Result<Vec<InspectionRule>, DbError> {
        let paging = paging.clone();
        self.read(Size::of(paging.limit), move |session| inspection_rule::list(session, &paging)).await
    }

    /// Stores an new inspection rule; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid`.
    pub async fn create_inspection_rule(&self, item: InspectionRule) -> Result<InspectionRule, DbError> {
        self.write(move |session| inspection_rule::create(session, item)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote it since `before` was read, `NotFound`, `Duplicate`.
    pub async fn update_inspection_rule(
        &self,
        before: &InspectionRule,
        after: InspectionRule,
    ) -> Result<InspectionRule, DbError> {
        let before = before.clone();
        self.write(move |session| inspection_rule::update(session, &before, after)).await
    }

    /// Removes an inspection rule.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_inspection_rule(&self, uuid: InspectionRuleUuid) -> Result<(), DbError> {
        self.write(move |session| inspection_rule::delete(session, uuid)).await
    }
}

/// Inventories.
impl Db {
    /// What the node's last inspection found; `None` before the first. Whether the caller may see the node is asked by
    /// reading it.
    pub async fn inventory(&self, node: NodeUuid) -> Result<Option<NodeInventory>, DbError> {
        self.read(Size::Point, move |session| inventory::get(session, node)).await
    }

    /// Keeps what an inspection found, in place of what an earlier one did.
    ///
    /// # Errors
    /// `MissingReference` when there is no such node.
    pub async fn put_inventory(&self, node: NodeUuid, data: NodeInventory) -> Result<(), DbError> {
        self.write(move |session| inventory::put(session, node, &data)).await
    }
}
