//! The table against the contract, the language, and operators' files with their mistakes.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use model::{Scope, Stake};
use policy::{Caller, CheckError, Kind, Origin, Policy, PolicyError, Settings, TABLE, TokenScope};

fn load(file: &str) -> Result<Policy, PolicyError> {
    Policy::load(file, Settings::default())
}

fn of(project: &str, roles: &[&str]) -> Caller {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Caller { project: Some(project.to_owned()), user: Some("ada".to_owned()), roles, ..Caller::default() }
}

fn system(roles: &[&str]) -> Caller {
    Caller { system: true, roles: roles.iter().map(|role| (*role).to_owned()).collect(), ..Caller::default() }
}

fn owner(project: &str) -> Scope {
    Scope::Has(Stake::Owner, project.to_owned())
}

/// What a check comes to for a caller.
fn check(check: &str, caller: &Caller) -> Scope {
    load(&format!("mine: \"{check}\"")).unwrap().scope("mine", caller, Kind::Node)
}

#[test]
fn the_table_is_the_contract() {
    let contract = include_str!("../../../contract/extra/policies.tsv");
    let rows: Vec<Vec<&str>> = contract.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 133);
    assert_eq!(rows.len(), TABLE.len());
    for (row, ours) in rows.iter().zip(TABLE) {
        let scopes: Vec<&str> = ours.scopes.iter().copied().map(TokenScope::as_str).collect();
        let was = ours.was.map(|(name, check)| format!("{name} => {check}")).unwrap_or_default();
        let ours = [ours.name, ours.check, &scopes.join(","), &ours.operations.join("; "), was.as_str()]
            .map(str::to_owned);
        assert_eq!(ours.as_slice(), row.as_slice());
    }
}

#[test]
fn every_row_is_understood() {
    let policy = Policy::defaults(Settings::default());
    assert_eq!(policy.rules().count(), TABLE.len());
    for row in TABLE {
        let older = row.was.map_or("", |(_, check)| check);
        assert!(load(&format!("mine: \"{older}\"")).is_ok(), "{}", row.name);
    }
    let admin = Caller::administrator(None);
    let denied: Vec<&str> = TABLE
        .iter()
        .filter(|row| row.name.starts_with("baremetal:"))
        .filter(|row| policy.scope(row.name, &admin, Kind::Node) != Scope::All)
        .map(|row| row.name)
        .collect();
    // Its own project's node: an administrator of the system has no project, and may delete any. Before scopes: no token
    // of the system.
    assert_eq!(denied, ["baremetal:node:delete:self_owned_node", "baremetal:allocation:create_pre_rbac"]);
}

#[test]
fn the_language() {
    let ada = of("p", &["Member", "reader"]);
    let is = |text: &str, expected: bool| {
        assert_eq!(check(text, &ada).admits(None, None), expected, "{text}");
    };
    for (text, expected) in [
        ("", true),
        ("@", true),
        ("!", false),
        ("role:member", true),
        ("role:MEMBER", true),
        ("roles:member", false),
        ("roles:Member", true),
        ("not role:member", false),
        ("not not role:member", true),
        ("NOT role:admin AND role:reader", true),
        ("role:admin or role:member and role:reader", true),
        ("role:member or role:admin and role:nobody", true),
        ("(role:member or role:admin) and role:nobody", false),
        ("not (role:admin or role:nobody)", true),
        ("((role:member))", true),
        ("( role:member )", true),
        ("project_id:p", true),
        ("tenant:p", true),
        ("project_id:%(project_id)s", true),
        ("user_id:%(user_id)s", true),
        ("user_domain_id:None", true),
        ("project_name:%(config.service_project_name)s", false),
        ("is_admin_project:True", true),
        ("is_public_api:False", true),
        ("is_admin:True", false),
        ("'ada':%(user_id)s", true),
        ("True:%(is_admin_project)s", true),
        ("None:x", false),
        ("7:7", true),
        ("project_id:100%%", false),
        ("system_scope:all", false),
        ("rule:admin_api", false),
    ] {
        is(text, expected);
    }
    assert!(check("system_scope:all", &system(&[])).admits(None, None));
}

#[test]
fn objects_become_formulas() {
    let ada = of("p", &["member"]);
    assert_eq!(check("project_id:%(node.owner)s", &ada), owner("p"));
    assert_eq!(check("role:admin and project_id:%(node.owner)s", &ada), Scope::Nothing);
    assert_eq!(check("role:member and project_id:%(node.owner)s", &ada), owner("p"));
    assert_eq!(check("project_id:%(node.owner)s or project_id:%(node.lessee)s", &ada), Scope::project("p"));
    assert_eq!(check("not project_id:%(node.owner)s", &ada), owner("p").inverse());
    assert_eq!(check("'q':%(node.owner)s", &ada), owner("q"));
    assert_eq!(check("'tenant-q':tenant-%(node.owner)s", &ada), owner("q"));
    assert_eq!(check("roles:%(node.owner)s", &ada), owner("member"));
    assert_eq!(check("project_id:%(runbook.owner)s", &ada), Scope::Nothing, "it is asked about a node");
    assert_eq!(check("rule:is_node_lessee", &ada), Scope::Has(Stake::Lessee, "p".to_owned()));
    // What belongs to nobody does not belong to those who act for no project.
    let nobody = check("project_id:%(node.owner)s", &system(&["manager"]));
    assert!(!nobody.admits(None, None));
}

#[test]
fn tokens_for_the_wrong_thing_are_refused() {
    let policy = Policy::defaults(Settings::default());
    let admin = of("p", &["admin", "member", "reader"]);
    assert_eq!(policy.scope("baremetal:chassis:get", &admin, Kind::Node), Scope::Nothing);
    let mut of_domain = system(&["admin", "reader"]);
    (of_domain.system, of_domain.domain) = (false, Some("default".to_owned()));
    assert_eq!(policy.scope("baremetal:node:list", &of_domain, Kind::Node), Scope::Nothing);
    assert!(policy.allows("admin_api", &of_domain), "rules without scopes are for every token");
}

#[test]
fn services_have_elevated_access_only_when_their_project_is_named() {
    let nova = Caller { project_name: Some("service".to_owned()), ..of("s", &["service"]) };
    let rule = "baremetal:node:set_provision_state";
    let ask = |settings: Settings| Policy::defaults(settings).scope(rule, &nova, Kind::Node);
    assert_eq!(ask(Settings::default()), owner("s"));
    assert_eq!(ask(Settings { service_project: Some("service".to_owned()) }), Scope::All);
    assert_eq!(ask(Settings { service_project: Some("other".to_owned()) }), owner("s"));
}

#[test]
fn files_in_yaml_and_json() {
    let yaml =
        "# ours\n\"operators\": \"role:operator\"\nbaremetal:node:delete: rule:operators or role:admin\n";
    let policy = load(yaml).unwrap();
    assert!(policy.allows("baremetal:node:delete", &of("p", &["operator"])));
    let rule = policy.rules().find(|rule| rule.name == "baremetal:node:delete").unwrap();
    assert_eq!(
        (rule.origin, rule.check.as_str()),
        (Origin::File { line: 3 }, "rule:operators or role:admin")
    );
    let json = r#"{"a": [["role:x", "role:y"], ["role:z"]], "b": [], "c": [[]], "d": ["role:z"], "e": ""}"#;
    let policy = load(json).unwrap();
    let ask = |rule: &str, roles: &[&str]| policy.allows(rule, &of("p", roles));
    assert!(ask("a", &["x", "y"]) && ask("a", &["z"]) && !ask("a", &["x"]));
    assert!(ask("b", &[]) && !ask("c", &[]) && ask("d", &["z"]) && !ask("d", &[]) && ask("e", &[]));
    for empty in ["", "# nothing\n", "{}", "---\n"] {
        assert_eq!(load(empty).unwrap().rules().count(), TABLE.len(), "{empty:?}");
    }
}

#[test]
fn older_names_mean_their_successors() {
    let names_of = |file: &str| -> Vec<String> {
        let policy = load(file).unwrap();
        let renamed = policy.rules().filter(|rule| matches!(rule.origin, Origin::OlderName { .. }));
        renamed.map(|rule| rule.name).collect()
    };
    let file = "baremetal:node:update: \"role:x\"\nbaremetal:node:update:name: \"role:y\"\n";
    let renamed = names_of(file);
    assert!(renamed.contains(&"baremetal:node:update:owner".to_owned()), "{renamed:?}");
    assert!(!renamed.contains(&"baremetal:node:update:name".to_owned()), "the file names it");
    assert!(load(file).unwrap().allows("baremetal:node:update:owner", &of("p", &["x"])));
    assert!(
        names_of("baremetal:node:update: \"rule:is_admin\"\n").is_empty(),
        "the older default says nothing new"
    );
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (file, expected) in [
        ("a: \"role:x\"\nb: \"role:x and\"\n", "line 2, rule 'b': the check ends where a check"),
        ("b: \"(role:x\"\n", "line 1, rule 'b': the check ends where 'and', 'or' or ')'"),
        ("b: \"role:x)\"\n", "')' stands where 'and', 'or' or the end"),
        ("b: \"role:x role:y\"\n", "'role:y' stands where 'and', 'or' or the end"),
        ("b: \"or role:x\"\n", "'or' stands where a check"),
        ("b: \"()\"\n", "')' stands where a check"),
        ("b: \"  \"\n", "ends where a check"),
        ("b: admin\n", "'admin' is no check"),
        ("b: \":x\"\n", "':x' is no check"),
        ("b: \"project_idd:x\"\n", "'project_idd' is no attribute of a caller"),
        ("b: \"project_id:%(node.ownr)s\"\n", "%(node.ownr)s is no attribute of an object"),
        ("b: \"project_id:%(node.owner)\"\n", "after a percent sign"),
        ("b: \"project_id:%(node.owner)s%(node.lessee)s\"\n", "two attributes of the object"),
        ("b: \"role:%(node.owner)s\"\n", "write roles:%(node.owner)s"),
        ("b: \"http://example.org/check\"\n", "asks another server"),
        ("b: 'rule:c'\nc: 'rule:d or role:x'\nd: 'not rule:b'\n", "line 3: these rules refer to each other"),
        ("b: 'rule:b'\n", "b -> b"),
        ("b: 'rule:admin_apii'\n", "there is no rule 'admin_apii' (is 'admin_api' meant?)"),
        (
            "a: '@'\nbaremetal:node:deletes: '!'\n",
            "line 2: there is no rule 'baremetal:node:deletes' (is 'baremetal:node:delete'",
        ),
        ("b: true\n", "line 1"),
        ("b: {c: d}\n", "line 1"),
        ("- b\n", "line 1"),
        ("b: '@'\nb: '!'\n", "line 2"),
        ("b: \"x\n", "line"),
    ] {
        let error = load(file).unwrap_err().to_string();
        assert!(error.contains(expected), "{file:?}: {error}");
    }
}

#[test]
fn checks_are_bounded() {
    let deep = format!("b: \"{}role:x{}\"", "(".repeat(70), ")".repeat(70));
    let long = format!("b: \"role:{}\"", "x".repeat(20_000));
    let denied = format!("b: \"{}role:x\"", "not ".repeat(100));
    for file in [deep, long, denied] {
        let error = load(&file).unwrap_err();
        assert!(matches!(error, PolicyError::Check { problem: CheckError::TooLarge, .. }), "{error}");
    }
}

#[test]
fn what_is_decided_once_is_what_the_rules_say() {
    let policy = Policy::defaults(Settings { service_project: Some("service".to_owned()) });
    let service = Caller { project_name: Some("service".to_owned()), ..of("service", &["service"]) };
    let callers = [
        Caller::administrator(None),
        Caller::public(),
        system(&["reader"]),
        Caller { domain: Some("d".to_owned()), ..of("p", &["admin"]) },
        of("p", &["reader"]),
        of("p", &["member"]),
        of("q", &["member"]),
        service,
    ];
    // The second time they are remembered.
    for caller in callers.iter().chain(&callers) {
        let decisions = policy.decisions(caller.clone());
        assert_eq!(decisions.caller(), caller);
        for row in TABLE {
            for kind in [Kind::Node, Kind::Allocation, Kind::Runbook] {
                let said = policy.scope(row.name, caller, kind);
                assert_eq!(*decisions.scope(row.name, kind), said, "{}, {caller:?}", row.name);
                assert_eq!(*decisions.scope(row.name, kind), said, "{}, {caller:?}", row.name);
            }
        }
    }
}
