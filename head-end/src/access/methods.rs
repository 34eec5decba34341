//! Which permission each method of the API needs, and which of them change something.

use super::Permission::{self, Audit, Open, Operate, Register, Secure, View};

/// What is demanded of a call of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Service and method, as in the path of a gRPC call without its first slash.
    pub path: &'static str,
    /// What the caller needs.
    pub permission: Permission,
    /// Whether it changes a meter or the head-end: such calls are kept in the audit log.
    pub changes: bool,
    /// Whether the meters in its request may be ones that are not there yet.
    pub creates: bool,
    /// Whether it leaves out by itself what belongs to other tenants. Without that, a caller of a tenant may only name
    /// meters, which the gate looks at, and nothing else.
    pub scoped: bool,
}

impl Method {
    /// The method of a gRPC call's path, `/package.Service/Method`.
    #[must_use]
    pub fn of(path: &str) -> Option<&'static Self> {
        let path = path.strip_prefix('/')?;
        METHODS.iter().find(|method| method.path == path)
    }
}

const fn looks(path: &'static str, permission: Permission) -> Method {
    Method { path, permission, changes: false, creates: false, scoped: false }
}

const fn changes(path: &'static str, permission: Permission) -> Method {
    Method { path, permission, changes: true, creates: false, scoped: false }
}

const fn creates(path: &'static str, permission: Permission) -> Method {
    Method { path, permission, changes: true, creates: true, scoped: false }
}

const fn lists(path: &'static str, permission: Permission) -> Method {
    Method { path, permission, changes: false, creates: false, scoped: true }
}

const fn manages(path: &'static str, permission: Permission) -> Method {
    Method { path, permission, changes: true, creates: false, scoped: true }
}

/// Every method of the API. One that is not here is refused.
pub const METHODS: &[Method] = &[
    looks("grpc.health.v1.Health/Check", Open),
    looks("grpc.health.v1.Health/Watch", Open),
    looks("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", View),
    looks("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", View),
    // Admin
    lists("dlms.headend.v1.Admin/QueryAuditLog", Audit),
    // It changes nothing; but that somebody listened is to be seen later.
    changes("dlms.headend.v1.Admin/TraceMeter", Audit),
    // Collection
    changes("dlms.headend.v1.Collection/BackfillGaps", Operate),
    changes("dlms.headend.v1.Collection/CreatePlan", Operate),
    changes("dlms.headend.v1.Collection/DeletePlan", Operate),
    looks("dlms.headend.v1.Collection/GetCollectionPerformance", View),
    looks("dlms.headend.v1.Collection/GetCoverage", View),
    looks("dlms.headend.v1.Collection/GetPlan", View),
    looks("dlms.headend.v1.Collection/GetPlanRun", View),
    looks("dlms.headend.v1.Collection/ListPlanStates", View),
    looks("dlms.headend.v1.Collection/ListPlans", View),
    changes("dlms.headend.v1.Collection/PausePlan", Operate),
    changes("dlms.headend.v1.Collection/ResumePlan", Operate),
    changes("dlms.headend.v1.Collection/RunNow", Operate),
    changes("dlms.headend.v1.Collection/UpdatePlan", Operate),
    looks("dlms.headend.v1.Collection/WatchPlanRun", View),
    // Configuration
    manages("dlms.headend.v1.Configuration/ApplyTemplate", Operate),
    manages("dlms.headend.v1.Configuration/ConfigureLoadProfile", Operate),
    manages("dlms.headend.v1.Configuration/ConfigurePush", Operate),
    manages("dlms.headend.v1.Configuration/CreateTemplate", Operate),
    manages("dlms.headend.v1.Configuration/DeleteTemplate", Operate),
    lists("dlms.headend.v1.Configuration/GetTemplate", View),
    lists("dlms.headend.v1.Configuration/ListTemplates", View),
    manages("dlms.headend.v1.Configuration/SetActivityCalendar", Operate),
    manages("dlms.headend.v1.Configuration/SetSpecialDays", Operate),
    manages("dlms.headend.v1.Configuration/SynchronizeClock", Operate),
    lists("dlms.headend.v1.Configuration/VerifyConfiguration", Operate),
    // Control
    manages("dlms.headend.v1.Control/ArmForReconnection", Operate),
    manages("dlms.headend.v1.Control/DisconnectSupply", Operate),
    lists("dlms.headend.v1.Control/GetSupplyStatus", Operate),
    manages("dlms.headend.v1.Control/ReconnectSupply", Operate),
    manages("dlms.headend.v1.Control/ResetDemand", Operate),
    manages("dlms.headend.v1.Control/SetEmergencyLoadLimit", Operate),
    manages("dlms.headend.v1.Control/SetLoadLimit", Operate),
    manages("dlms.headend.v1.Control/SwitchAuxiliaryLoad", Operate),
    // Data
    looks("dlms.headend.v1.Data/ExportReadings", View),
    looks("dlms.headend.v1.Data/GetLatestReadings", View),
    manages("dlms.headend.v1.Data/IngestTelegram", Operate),
    looks("dlms.headend.v1.Data/QueryIntervals", View),
    looks("dlms.headend.v1.Data/QueryReadings", View),
    looks("dlms.headend.v1.Data/SubscribeReadings", View),
    // Events
    changes("dlms.headend.v1.Events/AcknowledgeAlarm", Operate),
    changes("dlms.headend.v1.Events/ClearAlarmRegister", Operate),
    looks("dlms.headend.v1.Events/QueryEvents", View),
    looks("dlms.headend.v1.Events/ReadAlarmRegister", Operate),
    changes("dlms.headend.v1.Events/SetAlarmFilter", Operate),
    looks("dlms.headend.v1.Events/SubscribeEvents", View),
    // Firmware
    manages("dlms.headend.v1.Firmware/AbortCampaign", Operate),
    manages("dlms.headend.v1.Firmware/ActivateFirmware", Operate),
    manages("dlms.headend.v1.Firmware/CreateCampaign", Operate),
    changes("dlms.headend.v1.Firmware/DeleteImage", Operate),
    lists("dlms.headend.v1.Firmware/GetCampaign", View),
    lists("dlms.headend.v1.Firmware/GetFirmwareVersions", Operate),
    lists("dlms.headend.v1.Firmware/GetImage", View),
    lists("dlms.headend.v1.Firmware/ListCampaigns", View),
    lists("dlms.headend.v1.Firmware/ListImages", View),
    manages("dlms.headend.v1.Firmware/PauseCampaign", Operate),
    manages("dlms.headend.v1.Firmware/ResumeCampaign", Operate),
    changes("dlms.headend.v1.Firmware/UploadImage", Operate),
    // Jobs
    manages("dlms.headend.v1.Jobs/Approve", Operate),
    manages("dlms.headend.v1.Jobs/Cancel", Operate),
    lists("dlms.headend.v1.Jobs/Get", View),
    lists("dlms.headend.v1.Jobs/List", View),
    lists("dlms.headend.v1.Jobs/ListResults", View),
    manages("dlms.headend.v1.Jobs/Submit", Operate),
    lists("dlms.headend.v1.Jobs/Watch", View),
    // MeterRegistry
    changes("dlms.headend.v1.MeterRegistry/ClaimUnclaimedDevice", Register),
    manages("dlms.headend.v1.MeterRegistry/Commission", Register),
    manages("dlms.headend.v1.MeterRegistry/Decommission", Register),
    looks("dlms.headend.v1.MeterRegistry/ListUnclaimedDevices", View),
    creates("dlms.headend.v1.MeterRegistry/CreateMeter", Register),
    changes("dlms.headend.v1.MeterRegistry/DeleteMeter", Register),
    // Whose a group is, and that it has no meters of others, is seen to when it is used.
    Method { scoped: true, ..creates("dlms.headend.v1.MeterRegistry/CreateGroup", Register) },
    changes("dlms.headend.v1.MeterRegistry/DeleteGroup", Register),
    looks("dlms.headend.v1.MeterRegistry/GetGroup", View),
    looks("dlms.headend.v1.MeterRegistry/GetMeter", View),
    manages("dlms.headend.v1.MeterRegistry/ImportMeters", Register),
    lists("dlms.headend.v1.MeterRegistry/ListGroups", View),
    lists("dlms.headend.v1.MeterRegistry/ListMeters", View),
    changes("dlms.headend.v1.MeterRegistry/SetLifecycleStatus", Register),
    changes("dlms.headend.v1.MeterRegistry/UpdateMeter", Register),
    // MeterSecurity
    looks("dlms.headend.v1.MeterSecurity/GetKeyStatus", Secure),
    looks("dlms.headend.v1.MeterSecurity/GetSigningKey", Secure),
    changes("dlms.headend.v1.MeterSecurity/RecoverKeys", Secure),
    changes("dlms.headend.v1.MeterSecurity/RotateKeys", Secure),
    changes("dlms.headend.v1.MeterSecurity/SetSecurityPolicy", Secure),
    // Reading
    looks("dlms.headend.v1.Reading/DiscoverObjects", Operate),
    looks("dlms.headend.v1.Reading/GetAttributes", Operate),
    looks("dlms.headend.v1.Reading/GetCommsDiagnostics", Operate),
    changes("dlms.headend.v1.Reading/InvokeMethod", Operate),
    lists("dlms.headend.v1.Reading/PingMeters", Operate),
    looks("dlms.headend.v1.Reading/ReadBillingPeriod", Operate),
    looks("dlms.headend.v1.Reading/ReadProfile", Operate),
    looks("dlms.headend.v1.Reading/ReadRegisters", Operate),
    changes("dlms.headend.v1.Reading/RunBundle", Operate),
    changes("dlms.headend.v1.Reading/SetAttributes", Operate),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    #[test]
    fn every_method_of_every_service_has_one_row_and_no_row_is_left_over() {
        let sets = [
            dlms_proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut offered = BTreeSet::new();
        for file in sets.into_iter().flat_map(|set| prost_types::FileDescriptorSet::decode(set).unwrap().file) {
            for service in &file.service {
                let methods = service.method.iter().map(|method| method.name());
                offered.extend(methods.map(|name| format!("{}.{}/{name}", file.package(), service.name())));
            }
        }
        assert!(offered.len() >= 13, "{offered:?}");
        let rows: Vec<_> = METHODS.iter().map(|method| method.path.to_owned()).collect();
        let listed: BTreeSet<_> = rows.iter().cloned().collect();
        assert_eq!(listed.len(), rows.len(), "a method with two rows");
        let missing: Vec<_> = offered.difference(&listed).collect();
        assert!(missing.is_empty(), "without a row in access::METHODS: {missing:?}");
        let gone: Vec<_> = listed.difference(&offered).collect();
        assert!(gone.is_empty(), "rows of methods that do not exist: {gone:?}");
    }

    #[test]
    fn only_health_is_open_to_everybody() {
        let open: Vec<_> = METHODS.iter().filter(|method| method.permission == Open).map(|row| row.path).collect();
        assert!(open.iter().all(|path| path.starts_with("grpc.health.")), "{open:?}");
        let seen_changes: Vec<_> = METHODS.iter().filter(|row| row.changes && row.permission == View).collect();
        assert!(seen_changes.is_empty(), "{seen_changes:?}");
    }

    #[test]
    fn a_path_is_looked_up_whole() {
        assert_eq!(Method::of("/dlms.headend.v1.MeterRegistry/GetMeter").map(|row| row.permission), Some(View));
        for path in ["dlms.headend.v1.MeterRegistry/GetMeter", "/GetMeter", "/", "", "//x"] {
            assert_eq!(Method::of(path), None, "{path}");
        }
    }
}
