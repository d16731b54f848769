//! Deploy templates, runbooks, inspection rules and inventories.

use std::str::FromStr as _;

use db::{Db, DbError, DeployTemplateKey, Paging, RunbookKey, RunbookQuery, Scope, Sort};
use model::{
    DeployTemplate, DeployTemplateUuid, InspectionRule, JsonList, NodeInventory, NodeUuid, PlannedStep,
    Runbook, Trait,
};
use serde_json::json as value;

use crate::fixtures::{bare, json, time};

fn step(name: &str, priority: i64) -> PlannedStep {
    PlannedStep {
        interface: "bios".to_owned(), step: name.to_owned(), args: json(r#"{"a": "ß"}"#), priority
    }
}

fn template(name: &str) -> DeployTemplate {
    let mut template = DeployTemplate::new(name, time(1));
    template.steps = vec![step("b", 5), step("a", 10)];
    template.extra = json(r#"{"x": 1}"#);
    template
}

fn runbook(name: &str, owner: Option<&str>, public: bool) -> Runbook {
    let mut runbook = Runbook::new(name, time(1));
    runbook.description = Some("text".to_owned());
    runbook.disable_ramdisk = true;
    runbook.public = public;
    runbook.owner = owner.map(str::to_owned);
    runbook.traits = vec![Trait::from_str("CUSTOM_A").unwrap(), Trait::from_str("CUSTOM_B").unwrap()];
    runbook.steps = vec![step("b", 2), step("a", 1)];
    runbook.extra = json(r#"{"x": 1}"#);
    runbook
}

pub(crate) async fn templates_come_back_with_their_steps(db: Db) {
    let stored = db.create_deploy_template(template("CUSTOM_A")).await.unwrap();
    let other = db.create_deploy_template(template("CUSTOM_B")).await.unwrap();
    for key in [DeployTemplateKey::Uuid(stored.uuid), DeployTemplateKey::Name("CUSTOM_A".to_owned())] {
        assert_eq!(db.get_deploy_template(&key).await.unwrap().as_ref(), Some(&stored), "{key:?}");
    }
    let named = db.deploy_templates_named(vec!["CUSTOM_B".to_owned(), "CUSTOM_X".to_owned()]).await.unwrap();
    assert_eq!(named, std::slice::from_ref(&other));
    assert!(db.deploy_templates_named(vec![]).await.unwrap().is_empty());
    let mut after = stored.clone();
    "CUSTOM_C".clone_into(&mut after.name);
    after.steps = vec![step("c", 7)];
    let written = db.update_deploy_template(&stored, after.clone()).await.unwrap();
    assert!(written.updated_at > Some(stored.created_at));
    assert_eq!(written, DeployTemplate { updated_at: written.updated_at, ..after.clone() });
    let list = db.list_deploy_templates(&Paging::default()).await.unwrap();
    assert_eq!(list, [written.clone(), other.clone()]);
    assert!(matches!(
        db.update_deploy_template(&stored, after).await,
        Err(DbError::Conflict { what: "deploy template", .. })
    ));
    db.delete_deploy_template(written.uuid).await.unwrap();
    assert!(matches!(db.delete_deploy_template(written.uuid).await, Err(DbError::NotFound { .. })));
    assert!(matches!(
        db.update_deploy_template(&written, written.clone()).await,
        Err(DbError::NotFound { .. })
    ));
    // The other's steps are still its own.
    let key = DeployTemplateKey::Uuid(other.uuid);
    assert_eq!(db.get_deploy_template(&key).await.unwrap(), Some(other));
}

fn all_of(visible_to: Scope) -> RunbookQuery {
    RunbookQuery { visible_to, project: None, paging: Paging::default() }
}

pub(crate) async fn taken_names_are_told(db: Db) {
    let stored = db.create_deploy_template(template("CUSTOM_A")).await.unwrap();
    let told = |error: DbError| match error {
        DbError::Duplicate { field, value } => (field, value),
        error => panic!("{error:?}"),
    };
    let error = db.create_deploy_template(template("CUSTOM_A")).await.unwrap_err();
    assert_eq!(told(error), ("name", "CUSTOM_A".to_owned()));
    let same = DeployTemplate { uuid: stored.uuid, ..template("CUSTOM_B") };
    let error = db.create_deploy_template(same).await.unwrap_err();
    assert_eq!(told(error), ("uuid", stored.uuid.to_string()));
    let other = db.create_runbook(runbook("a", None, false)).await.unwrap();
    db.create_runbook(runbook("b", None, false)).await.unwrap();
    let renamed = Runbook { name: "b".to_owned(), ..other.clone() };
    let error = db.update_runbook(&other, renamed).await.unwrap_err();
    assert_eq!(told(error), ("name", "b".to_owned()));
}

pub(crate) async fn a_project_sees_its_runbooks_and_public_ones(db: Db) {
    let mine = db.create_runbook(runbook("mine", Some("p"), false)).await.unwrap();
    let public = db.create_runbook(runbook("public", None, true)).await.unwrap();
    let other = db.create_runbook(runbook("other", Some("q"), false)).await.unwrap();
    let project = Scope::project("p");
    let seen = db.list_runbooks(&all_of(project.clone())).await.unwrap();
    assert_eq!(seen, [mine.clone(), public.clone()]);
    let all = db.list_runbooks(&all_of(Scope::All)).await.unwrap();
    assert_eq!(all, [mine.clone(), public.clone(), other.clone()]);
    let asked = RunbookQuery { project: Some("p".to_owned()), ..all_of(Scope::All) };
    assert_eq!(db.list_runbooks(&asked).await.unwrap(), [mine, public]);
    let key = RunbookKey::Uuid(other.uuid);
    assert_eq!(db.get_runbook(&key, &project).await.unwrap(), None);
    let plain = Runbook { description: None, owner: None, traits: Vec::new(), ..other.clone() };
    let written = db.update_runbook(&other, plain.clone()).await.unwrap();
    assert_eq!(
        db.get_runbook(&key, &Scope::All).await.unwrap(),
        Some(Runbook { updated_at: written.updated_at, ..plain })
    );
}

pub(crate) async fn rules_come_back(db: Db) {
    let mut rule = InspectionRule::new(time(3));
    rule.description = Some("d".to_owned());
    rule.priority = 17;
    rule.sensitive = true;
    rule.conditions = JsonList::from(vec![value!({"op": "eq", "args": {"values": [1, 1]}})]);
    rule.actions = JsonList::from(vec![value!({"op": "log", "args": {"msg": "ß"}})]);
    let stored = db.create_inspection_rule(rule.clone()).await.unwrap();
    assert_eq!(stored, InspectionRule { id: stored.id, ..rule });
    assert_eq!(db.get_inspection_rule(stored.uuid).await.unwrap(), Some(stored.clone()));
    let after = InspectionRule { phase: None, priority: 0, ..stored.clone() };
    let written = db.update_inspection_rule(&stored, after.clone()).await.unwrap();
    assert_eq!(written, InspectionRule { updated_at: written.updated_at, ..after });
    db.delete_inspection_rule(stored.uuid).await.unwrap();
    assert_eq!(db.get_inspection_rule(stored.uuid).await.unwrap(), None);
}

pub(crate) async fn plans_are_paged(db: Db) {
    let mut all = Vec::new();
    for (index, owner) in [None, Some("b"), Some("a"), None, Some("b")].into_iter().enumerate() {
        all.push(db.create_runbook(runbook(&format!("r-{index}"), owner, false)).await.unwrap());
    }
    for key in ["id", "uuid", "name", "owner", "public", "created_at", "updated_at"] {
        for descending in [false, true] {
            let paging = Paging { sort: Sort::from_field(key).unwrap(), descending, ..Paging::default() };
            let query = RunbookQuery { paging, ..all_of(Scope::All) };
            let whole = db.list_runbooks(&query).await.unwrap();
            assert_eq!(whole.len(), all.len());
            let (mut paged, mut page) = (Vec::new(), query);
            page.paging.limit = 2;
            loop {
                let found = db.list_runbooks(&page).await.unwrap();
                let Some(last) = found.last() else { break };
                page.paging.marker = Some(last.uuid.to_string());
                paged.extend(found);
            }
            assert_eq!(paged, whole, "{key} {descending}");
        }
    }
    for key in ["extra", "traits", "steps", "bogus"] {
        assert!(Sort::<Runbook>::from_field(key).is_none(), "{key}");
    }
    let marker = Some(DeployTemplateUuid::random().to_string());
    let paging = Paging { marker, ..Paging::default() };
    assert!(matches!(db.list_deploy_templates(&paging).await, Err(DbError::MarkerNotFound { .. })));
}

pub(crate) async fn the_last_inventory_is_kept(db: Db) {
    let node = db.create_node(bare()).await.unwrap();
    assert_eq!(db.inventory(node.uuid).await.unwrap(), None);
    for count in 1..3 {
        let data = NodeInventory {
            inventory: json(&format!(r#"{{"cpu": {{"count": {count}}}}}"#)),
            plugin_data: json(r#"{"boot_interface": "01-52"}"#),
        };
        db.put_inventory(node.uuid, data.clone()).await.unwrap();
        assert_eq!(db.inventory(node.uuid).await.unwrap(), Some(data));
    }
    let nobody = db.put_inventory(NodeUuid::random(), NodeInventory::default()).await;
    assert!(matches!(nobody, Err(DbError::MissingReference { what: "inventory", .. })));
    db.delete_node(&node).await.unwrap();
    assert_eq!(db.inventory(node.uuid).await.unwrap(), None);
}
