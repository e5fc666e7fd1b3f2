//! `guests::`: machine numbers.

use super::{HostFunction, HostModule, ask};
use crate::error::throw;
use crate::host::Call;
use crate::run::Answer;
use rhai::{Dynamic, INT, NativeCallContext};

pub(super) const MODULE: HostModule = HostModule {
    name: "guests",
    about: "Numbers for new machines, within the range that the administrator set.",
    functions: &[
        HostFunction {
            signature: "reserve_vmid() -> number",
            about: "Reserves a machine number that is free in Proxmox and that no other job gets in the meantime.",
            example: "let vmid = guests::reserve_vmid();",
            register: |m| set!(m, "reserve_vmid", |ctx: NativeCallContext<'_>| ask(&ctx, Call::ReserveVmid)),
        },
        HostFunction {
            signature: "release_vmid(vmid)",
            about: "Gives a reserved number back; nothing happens when it is not reserved.",
            example: "guests::release_vmid(vmid);",
            register: |m| set!(m, "release_vmid", release),
        },
    ],
};

fn release(ctx: NativeCallContext<'_>, vmid: INT) -> Answer<Dynamic> {
    match u32::try_from(vmid) {
        Ok(vmid) => ask(&ctx, Call::ReleaseVmid { vmid }),
        Err(_) => Err(throw("invalid", &format!("{vmid} is not a machine number"), ctx.call_position())),
    }
}
