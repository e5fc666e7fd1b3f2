//! The role, the user and the token that Steward has on a cluster: what they are, and how a person's one sign-in
//! makes them. Root on a node makes the same with Proxmox's own tools, see `node`.

use super::error::{PveError, PveErrorKind};
use super::login::Ticket;
use base::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is to be made; the provider plugin's hook `setup_plan` says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPlan {
    pub role: String,
    pub privileges: Vec<String>,
    /// `steward@pve`
    pub user: String,
    /// Without user; carries the appliance's mark, so that two Stewards on one cluster don't take each other's.
    pub token: String,
    /// On everything that Steward makes. Only what carries it is removed again.
    pub comment: String,
    /// The same by hand, for a node's shell as root.
    #[serde(default)]
    pub commands: Vec<String>,
}

impl AccessPlan {
    /// `user@realm!name`
    pub fn token_id(&self) -> String {
        format!("{}!{}", self.user, self.token)
    }

    /// The wanted privileges that this Proxmox knows: an unknown name would make the whole role fail.
    pub(super) fn known_privileges(&self, known: impl Fn(&str) -> bool) -> Vec<&str> {
        self.privileges.iter().map(String::as_str).filter(|p| known(p)).collect()
    }
}

impl Ticket {
    pub async fn version(&self) -> Result<String, PveError> {
        let version = self.call("GET", "/version", &Value::Null).await?;
        Ok(version["version"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes role, user and token, and gives the token's secret. Each part may be there already.
    pub async fn make_token(&self, plan: &AccessPlan) -> Result<Secret<String>, PveError> {
        let roles = self.call("GET", "/access/roles", &Value::Null).await?;
        let privileges = privileges(&roles, plan);
        let role = json!({ "roleid": plan.role, "privs": privileges });
        if !self.made("/access/roles", &role).await? {
            let path = format!("/access/roles/{}", plan.role);
            self.call("PUT", &path, &json!({ "privs": privileges })).await?;
        }
        self.made("/access/users", &json!({ "userid": plan.user, "comment": plan.comment })).await?;
        let acl = json!({ "path": "/", "users": plan.user, "roles": plan.role, "propagate": true });
        self.call("PUT", "/access/acl", &acl).await?;
        let all = format!("/access/users/{}/token", plan.user);
        let path = format!("{all}/{}", plan.token);
        // The secret of a token that is there already can't be read again, so it is made anew. The name carries
        // this appliance's mark, so it is nobody else's.
        let there = self.call("GET", &all, &Value::Null).await?;
        if there.as_array().is_some_and(|tokens| tokens.iter().any(|t| t["tokenid"] == plan.token.as_str())) {
            self.call("DELETE", &path, &Value::Null).await?;
        }
        let made = self.call("POST", &path, &json!({ "privsep": false, "comment": plan.comment })).await?;
        let secret = made["value"].as_str().map(|v| Secret::new(v.to_owned()));
        secret.ok_or_else(|| PveError::new(PveErrorKind::Refused, "Proxmox did not create a token."))
    }

    /// Whether it was made; not when it is there already.
    async fn made(&self, path: &str, params: &Value) -> Result<bool, PveError> {
        match self.call("POST", path, params).await {
            Ok(_) => Ok(true),
            Err(e) if e.message.contains("already exists") => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn privileges(roles: &Value, plan: &AccessPlan) -> String {
    let all = roles.as_array().and_then(|roles| roles.iter().find(|r| r["roleid"] == "Administrator"));
    let known: Vec<&str> = all.and_then(|r| r["privs"].as_str()).into_iter().flat_map(|p| p.split(',')).collect();
    plan.known_privileges(|p| known.is_empty() || known.contains(&p)).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_privileges_that_this_proxmox_knows_are_asked_for() {
        let plan = AccessPlan {
            role: "Steward".into(),
            privileges: vec!["VM.Audit".into(), "VM.Monitor".into()],
            user: String::new(),
            token: String::new(),
            comment: String::new(),
            commands: Vec::new(),
        };
        let roles = json!([{ "roleid": "Administrator", "privs": "VM.Audit,VM.Clone" }]);
        assert_eq!(privileges(&roles, &plan), "VM.Audit");
    }
}
