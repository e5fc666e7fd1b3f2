//! What root is to do on a node, from what is there: pure, so that every case can be tried.

use crate::pve::AccessPlan;
use std::collections::{BTreeMap, BTreeSet};

/// What is on Proxmox now.
#[derive(Clone, Debug, Default)]
pub struct CurrentAccess {
    /// Privileges by role.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// The comment of our user, when there is such a user.
    pub user: Option<String>,
    /// `(path, user or token or group, role)`
    pub entries: Vec<(String, String, String)>,
    /// Names of our user's tokens.
    pub tokens: BTreeSet<String>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For people.
    pub what: String,
    pub command: Vec<String>,
    /// Its answer holds a token's secret.
    pub makes_token: bool,
}

impl Step {
    fn new(what: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|w| (*w).to_owned()).collect();
        Self { what: what.to_owned(), command, makes_token: false }
    }

    /// As it is typed into a shell.
    pub fn shown(&self) -> String {
        self.command.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn known<'a>(current: &CurrentAccess, plan: &'a AccessPlan) -> Vec<&'a str> {
    let all = current.roles.get("Administrator");
    plan.known_privileges(|p| all.is_none_or(|all| all.contains(p)))
}

fn is_entry(current: &CurrentAccess, plan: &AccessPlan) -> bool {
    current.entries.iter().any(|(path, who, role)| path == "/" && *who == plan.user && *role == plan.role)
}

/// What makes this Proxmox ready for Steward. What is there already is left as it is; a role is only added to.
/// With `has_secret` Steward has a connection with this token, so it need not be made again.
pub fn join(current: &CurrentAccess, plan: &AccessPlan, has_secret: bool) -> Vec<Step> {
    let (role, user, token) = (plan.role.as_str(), plan.user.as_str(), plan.token.as_str());
    let privileges = known(current, plan);
    let mut steps = Vec::new();
    match current.roles.get(role) {
        None => {
            let all = privileges.join(",");
            steps.push(Step::new(
                "just the rights that Steward needs",
                &["pveum", "role", "add", role, "--privs", &all],
            ));
        }
        Some(have) => {
            let lacking: Vec<&str> = privileges.into_iter().filter(|p| !have.contains(*p)).collect();
            if !lacking.is_empty() {
                let lacking = lacking.join(",");
                let command = ["pveum", "role", "modify", role, "--append", "1", "--privs", &lacking];
                steps.push(Step::new("rights that the role lacks", &command));
            }
        }
    }
    if current.user.is_none() {
        let command = ["pveum", "user", "add", user, "--comment", &plan.comment];
        steps.push(Step::new("a user without password: nobody can sign in as it", &command));
    }
    if !is_entry(current, plan) {
        let command = ["pveum", "acl", "modify", "/", "--users", user, "--roles", role];
        steps.push(Step::new("the rights hold everywhere; narrow them if you like", &command));
    }
    let there = current.tokens.contains(token);
    if there && has_secret {
        return steps;
    }
    if there {
        // Its secret was shown once and is not here. The name carries this appliance's mark, so it is ours.
        steps.push(Step::new("its secret is lost", &["pveum", "user", "token", "remove", user, token]));
    }
    let add = [
        "pveum",
        "user",
        "token",
        "add",
        user,
        token,
        "--privsep",
        "0",
        "--comment",
        &plan.comment,
        "--output-format",
        "json",
    ];
    steps.push(Step { makes_token: true, ..Step::new("its secret goes to Steward, and is not shown", &add) });
    steps
}

/// Gives the token the whole role everywhere, if somebody narrowed it.
pub fn grant(plan: &AccessPlan) -> Step {
    let (user, token, role) = (plan.user.as_str(), plan.token_id(), plan.role.as_str());
    let command = ["pveum", "acl", "modify", "/", "--users", user, "--tokens", &token, "--roles", role];
    Step::new("all rights that Steward needs, everywhere", &command)
}

/// What a person should know, though nothing is done about it.
pub fn notes(current: &CurrentAccess, plan: &AccessPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(have) = current.roles.get(&plan.role) {
        let more: Vec<&str> = have.iter().filter(|p| !plan.privileges.contains(p)).map(String::as_str).collect();
        if !more.is_empty() {
            notes.push(format!(
                "The role {} has more than Steward needs: {}. It is left as it is.",
                plan.role,
                more.join(", ")
            ));
        }
    }
    notes
}

/// What removes what [`join`] created, and what is kept, with the reason. User and role go only when Steward made
/// them and nobody else uses them.
pub fn leave(current: &CurrentAccess, plan: &AccessPlan) -> (Vec<Step>, Vec<String>) {
    let (role, user, token) = (plan.role.as_str(), plan.user.as_str(), plan.token.as_str());
    let (mut steps, mut kept) = (Vec::new(), Vec::new());
    if current.tokens.contains(token) {
        steps.push(Step::new("this Steward's token", &["pveum", "user", "token", "remove", user, token]));
    }
    let Some(comment) = &current.user else { return (steps, kept) };
    let others: Vec<&str> = current.tokens.iter().map(String::as_str).filter(|t| *t != token).collect();
    if !others.is_empty() {
        kept.push(format!("Kept: {user} with its rights, as it has other tokens ({}).", others.join(", ")));
        return (steps, kept);
    }
    if *comment != plan.comment {
        kept.push(format!("Kept: {user} with its rights, as Steward did not make it (its comment says otherwise)."));
        return (steps, kept);
    }
    if is_entry(current, plan) {
        steps.push(Step::new("its rights", &["pveum", "acl", "delete", "/", "--users", user, "--roles", role]));
    }
    steps.push(Step::new("the user", &["pveum", "user", "delete", user]));
    let used =
        current.entries.iter().any(|(_, who, r)| r == role && who != user && !who.starts_with(&format!("{user}!")));
    if used {
        kept.push(format!("Kept: the role {role}, as others use it."));
    } else if current.roles.contains_key(role) {
        steps.push(Step::new("the role", &["pveum", "role", "delete", role]));
    }
    (steps, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> AccessPlan {
        AccessPlan {
            role: "Steward".into(),
            privileges: vec!["VM.Audit".into(), "VM.PowerMgmt".into(), "VM.Future".into()],
            user: "steward@pve".into(),
            token: "appliance-1a2b3c4d".into(),
            comment: "Made by Steward".into(),
            commands: Vec::new(),
        }
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn fresh() -> CurrentAccess {
        let administrator = set(&["VM.Audit", "VM.PowerMgmt", "Sys.Modify"]);
        CurrentAccess {
            roles: BTreeMap::from([("Administrator".to_owned(), administrator)]),
            ..CurrentAccess::default()
        }
    }

    fn joined() -> CurrentAccess {
        let mut current = fresh();
        current.roles.insert("Steward".into(), set(&["VM.Audit", "VM.PowerMgmt"]));
        current.user = Some("Made by Steward".to_owned());
        current.entries.push(("/".into(), "steward@pve".into(), "Steward".into()));
        current.tokens.insert("appliance-1a2b3c4d".into());
        current
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::shown).collect()
    }

    #[test]
    fn a_fresh_proxmox_gets_role_user_entry_and_token() {
        assert_eq!(
            shown(&join(&fresh(), &plan(), false)),
            [
                "pveum role add Steward --privs VM.Audit,VM.PowerMgmt",
                "pveum user add steward@pve --comment 'Made by Steward'",
                "pveum acl modify / --users steward@pve --roles Steward",
                "pveum user token add steward@pve appliance-1a2b3c4d --privsep 0 --comment 'Made by Steward' --output-format json",
            ]
        );
    }

    #[test]
    fn joined_once_nothing_is_left_to_do_and_lacking_rights_are_added() {
        assert_eq!(join(&joined(), &plan(), true), []);
        let mut poor = joined();
        poor.roles.insert("Steward".into(), set(&["VM.Audit", "Sys.Modify"]));
        assert_eq!(shown(&join(&poor, &plan(), true)), ["pveum role modify Steward --append 1 --privs VM.PowerMgmt"]);
        assert!(notes(&poor, &plan())[0].contains("Sys.Modify"));
    }

    #[test]
    fn a_token_whose_secret_is_lost_is_made_again_and_no_other_one() {
        let mut current = joined();
        current.tokens.insert("appliance-99999999".into());
        let steps = join(&current, &plan(), false);
        assert_eq!(steps[0].shown(), "pveum user token remove steward@pve appliance-1a2b3c4d");
        assert!(steps[1].makes_token && steps.len() == 2, "{steps:?}");
    }

    #[test]
    fn leaving_takes_all_that_was_made() {
        let (steps, kept) = leave(&joined(), &plan());
        assert_eq!(
            shown(&steps),
            [
                "pveum user token remove steward@pve appliance-1a2b3c4d",
                "pveum acl delete / --users steward@pve --roles Steward",
                "pveum user delete steward@pve",
                "pveum role delete Steward",
            ]
        );
        assert!(kept.is_empty());
    }

    #[test]
    fn leaving_keeps_what_others_use_or_made() {
        let mut shared = joined();
        shared.tokens.insert("appliance-99999999".into());
        let (steps, kept) = leave(&shared, &plan());
        assert_eq!((steps.len(), kept[0].contains("appliance-99999999")), (1, true));
        let mut by_hand = joined();
        by_hand.user = Some("mine".into());
        let (steps, kept) = leave(&by_hand, &plan());
        assert_eq!((steps.len(), kept[0].contains("did not make it")), (1, true));
        let mut role_used = joined();
        role_used.entries.push(("/vms".into(), "jon@pve".into(), "Steward".into()));
        let (steps, kept) = leave(&role_used, &plan());
        assert_eq!((steps.len(), kept[0].contains("the role Steward")), (3, true));
    }

    #[test]
    fn commands_are_shown_as_a_shell_takes_them() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("VM.Audit,SDN.Use"), "VM.Audit,SDN.Use");
    }
}
