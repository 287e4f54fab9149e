//! Which services names are looked up by.

/// Has users, groups and hosts looked up in `/etc/passwd`, `/etc/group`, `/etc/hosts` and the DNS, whatever
/// `/etc/nsswitch.conf` says. For a static program alone: the C library would load the services that are named there into
/// it, which it survives with none that needs more of the C library than it has in it (`systemd`, say). To be called before
/// the first look.
pub(in crate::process) fn look_up_in_files() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    for (database, services) in
        [(c"passwd", c"files"), (c"group", c"files"), (c"initgroups", c"files"), (c"hosts", c"files dns")]
    {
        // SAFETY: both are strings that end, and the library copies what it keeps.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
unsafe extern "C" {
    /// `nss.h`
    fn __nss_configure_lookup(database: *const std::ffi::c_char, services: *const std::ffi::c_char) -> std::ffi::c_int;
}
