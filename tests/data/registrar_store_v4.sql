PRAGMA page_size = 8192;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_note INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    rules TEXT NOT NULL,
    version TEXT NOT NULL,
    root TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO batches VALUES(1,1,3,1,0,1795825311653211255,'55c714b5d62afab2b9860d74b74457c1d2aee4f69595a97b663e80cc004ac0f8','3','2e3409ac8cc328f20a3d3e25a9ebfcd301ff8ff3cd646ee781e5a480205726e0','0000000000000000000000000000000000000000000000000000000000000000','6dd9ceb0761482d241721640e758c632c6d1c927388c894eaaa41dccf0049eb6');
INSERT INTO batches VALUES(2,4,3,1,1,1795825311656674287,'55c714b5d62afab2b9860d74b74457c1d2aee4f69595a97b663e80cc004ac0f8','3','9624ec0851ebe6129b033739f26c0ff48cbd15bb82c061067b06d357ff2014b3','6dd9ceb0761482d241721640e758c632c6d1c927388c894eaaa41dccf0049eb6','d3bf8508a78bf9fb51a0a1d74a0db0219a56298cfe536d458f57314535730700');
INSERT INTO batches VALUES(3,7,3,2,0,1795825311660513169,'55c714b5d62afab2b9860d74b74457c1d2aee4f69595a97b663e80cc004ac0f8','3','f38c34de2183e26733d7fc8e1e74a9f30a891dd3f1887c9b6f48bb4ef976a85b','d3bf8508a78bf9fb51a0a1d74a0db0219a56298cfe536d458f57314535730700','3cc99ac7e8cc22253d1805e20556e9aea56efc7a9e749db43576b731293b3d69');
CREATE TABLE checkpoints (
    checkpoint INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    statement TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;
INSERT INTO checkpoints VALUES(1,1,'{"store":"a795e7eeeba244c99de5e0b0f106dd06","key":"cf7614d17f06df25487c4ced6b236a8998c551b3ae80e1688bd7347f734b329a","signed_ns":1795825311653709272,"batch":1,"rows":3,"notes":0,"hash":"6dd9ceb0761482d241721640e758c632c6d1c927388c894eaaa41dccf0049eb6","kind":"checkpoint","number":1,"segment":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000"}',X'11427C24F97A6B0A975A628C9C2D1D37746B772F0D7DF8EAB9B4715ACD3E33B87ED33C60A21C96414682A08663102351498E95118224D7F3535BD522CD33840C');
INSERT INTO checkpoints VALUES(2,3,'{"store":"a795e7eeeba244c99de5e0b0f106dd06","key":"cf7614d17f06df25487c4ced6b236a8998c551b3ae80e1688bd7347f734b329a","signed_ns":1795825311664163460,"batch":3,"rows":9,"notes":1,"hash":"3cc99ac7e8cc22253d1805e20556e9aea56efc7a9e749db43576b731293b3d69","kind":"checkpoint","number":2,"segment":1,"previous":"5a5ac4d761500ed499eb44db5d41467eaf92ec62eda4838faba8926463449a60"}',X'941EB798A1629A41DA659FD94F47700FF9C8899C46F6D71168830CE66156D38603B96E0ECB0E3D9163598A4CC3B15E610DCC5311A42C3CACCA4628A7D994AA01');
CREATE TABLE codes (
    code INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, meaning TEXT NOT NULL
) STRICT;
INSERT INTO codes VALUES(100,'BOOT_START','boot','a bot began to boot');
INSERT INTO codes VALUES(101,'BOOT_OK','boot','a bot finished booting');
INSERT INTO codes VALUES(102,'BOOT_FAILED','boot','a bot could not boot');
INSERT INTO codes VALUES(110,'INIT_START','boot','a component began to initialise');
INSERT INTO codes VALUES(111,'INIT_OK','boot','a component is initialised');
INSERT INTO codes VALUES(112,'INIT_FAILED','boot','a component could not be initialised');
INSERT INTO codes VALUES(120,'MODE_CHANGED','boot','a bot changed its mode');
INSERT INTO codes VALUES(121,'SYSTEM_MODE','boot','a bot entered factory or mission mode');
INSERT INTO codes VALUES(200,'SENSOR_IO_START','sensors','a bot began to read its sensors');
INSERT INTO codes VALUES(201,'SENSOR_IO_OK','sensors','a bot''s sensors answer');
INSERT INTO codes VALUES(202,'SENSOR_IO_FAILED','sensors','a sensor stopped answering');
INSERT INTO codes VALUES(210,'RADAR_FRAME_RECEIVED','sensors','a radar frame');
INSERT INTO codes VALUES(211,'RADAR_TRACK_GENERATED','sensors','a radar track');
INSERT INTO codes VALUES(220,'TELEMETRY_SNAPSHOT','sensors','a telemetry snapshot');
INSERT INTO codes VALUES(221,'SENSOR_READING','sensors','a reading of a sensor');
INSERT INTO codes VALUES(299,'UNKNOWN_TYPE','sensors','no rule knows this type of event');
INSERT INTO codes VALUES(300,'ACTUATOR_START','actuators','an actuator began to work');
INSERT INTO codes VALUES(301,'ACTUATOR_OK','actuators','an actuator did what it was told');
INSERT INTO codes VALUES(302,'ACTUATOR_FAILED','actuators','an actuator did not do what it was told');
INSERT INTO codes VALUES(310,'COMMAND_RECEIVED','actuators','a command for a bot');
INSERT INTO codes VALUES(311,'COMMAND_ANSWERED','actuators','a bot''s answer to a command');
INSERT INTO codes VALUES(312,'COMMAND_FAILED','actuators','a bot refused a command or could not carry it out');
INSERT INTO codes VALUES(320,'DOCKING_CHANGED','actuators','a docking port changed its state');
INSERT INTO codes VALUES(330,'THRUSTER_COMMAND','actuators','a thruster schedule');
INSERT INTO codes VALUES(331,'MODE_COMMAND','actuators','a request for a mode');
INSERT INTO codes VALUES(332,'PROTOCOL_COMMAND','actuators','a step of a protocol');
INSERT INTO codes VALUES(400,'COMM_START','communication','communication was started');
INSERT INTO codes VALUES(401,'COMM_OK','communication','communication works');
INSERT INTO codes VALUES(402,'COMM_FAILED','communication','communication failed');
INSERT INTO codes VALUES(410,'NATS_CONNECTED','communication','the registrar reached the broker');
INSERT INTO codes VALUES(411,'NATS_DISCONNECTED','communication','the registrar lost the broker');
INSERT INTO codes VALUES(420,'COMMS_LINK_DOWN','communication','a bot lost its link');
INSERT INTO codes VALUES(421,'COMMS_LINK_UP','communication','a bot''s link is up again');
INSERT INTO codes VALUES(422,'COMMS_CHANGED','communication','a bot''s comms changed in another way');
INSERT INTO codes VALUES(430,'OUTBOX_SHED','communication','a bot dropped events that it could not send');
INSERT INTO codes VALUES(440,'DUPLICATE_DROPPED','communication','a stream holds a recorded event once more');
INSERT INTO codes VALUES(441,'STREAM_GAP','communication','why sequences of a stream are not recorded');
INSERT INTO codes VALUES(500,'NAV_START','navigation','navigation was started');
INSERT INTO codes VALUES(501,'NAV_OK','navigation','navigation works');
INSERT INTO codes VALUES(502,'NAV_FAILED','navigation','navigation failed');
INSERT INTO codes VALUES(510,'NAV_STATE','navigation','a navigation state');
INSERT INTO codes VALUES(600,'POWER_START','power','power was switched on');
INSERT INTO codes VALUES(601,'POWER_OK','power','power is well');
INSERT INTO codes VALUES(602,'POWER_LOW','power','state of charge fell to the low limit');
INSERT INTO codes VALUES(603,'POWER_CRITICAL','power','state of charge fell to the critical limit');
INSERT INTO codes VALUES(604,'POWER_LOW_CLEARED','power','state of charge is well above the low limit again');
INSERT INTO codes VALUES(605,'POWER_CRITICAL_CLEARED','power','state of charge left the critical range');
INSERT INTO codes VALUES(610,'LOAD_SHED','power','a load was switched off to save power or heat');
INSERT INTO codes VALUES(611,'LOAD_RESTORED','power','a shed load was switched on again');
INSERT INTO codes VALUES(620,'PDU_OVERCURRENT','power','the power distribution unit is past its limit');
INSERT INTO codes VALUES(621,'PDU_FAULT','power','the power distribution unit failed, its bus overloaded');
INSERT INTO codes VALUES(622,'PDU_CLEARED','power','the power distribution unit is well again');
INSERT INTO codes VALUES(630,'POWER_BUS_READING','power','a reading of the power bus');
INSERT INTO codes VALUES(631,'POWER_PDU_STATUS','power','a reading of the power distribution unit');
INSERT INTO codes VALUES(632,'ENERGY_STATUS','power','an energy status');
INSERT INTO codes VALUES(700,'HEALTH_CHECK_START','health','a health check began');
INSERT INTO codes VALUES(701,'HEALTH_CHECK_OK','health','a health check found every device well');
INSERT INTO codes VALUES(702,'HEALTH_CHECK_FAILED','health','a health check found a device that is not well');
INSERT INTO codes VALUES(710,'THERMAL_TRIP','health','a node reached its trip temperature');
INSERT INTO codes VALUES(711,'THERMAL_CLEAR','health','a tripped node cooled down');
INSERT INTO codes VALUES(712,'RADIATION_HIGH','health','the dose rate reached a limit');
INSERT INTO codes VALUES(713,'RADIATION_CLEARED','health','the dose rate is normal again');
INSERT INTO codes VALUES(720,'THERMAL_READING','health','a reading of a temperature');
INSERT INTO codes VALUES(730,'REGISTRAR_START','health','the registrar opened its store');
INSERT INTO codes VALUES(731,'REGISTRAR_STOP','health','the registrar closed its store in good order');
INSERT INTO codes VALUES(732,'SEGMENTS_DROPPED','health','segments past their age or size were dropped');
INSERT INTO codes VALUES(733,'SEGMENT_CLOSED','health','a segment was closed; no byte of it changes again');
INSERT INTO codes VALUES(734,'CLOCK_JUMPED','health','the registrar''s wall clock was set by a second or more');
INSERT INTO codes VALUES(800,'SECURITY_START','security','a security check began');
INSERT INTO codes VALUES(801,'SECURITY_OK','security','a security check found nothing');
INSERT INTO codes VALUES(802,'SECURITY_VIOLATION','security','a security rule was broken');
INSERT INTO codes VALUES(810,'GUARD_ALERT','security','a radar guard rule fired');
INSERT INTO codes VALUES(811,'GUARD_CLEARED','security','a radar guard rule no longer holds');
INSERT INTO codes VALUES(812,'SHIELD_LOW','security','a shield fell below a threshold');
INSERT INTO codes VALUES(813,'SHIELD_CHANGED','security','a shield recovered, or was switched off');
INSERT INTO codes VALUES(820,'SHIELD_STATUS','security','a shield status');
INSERT INTO codes VALUES(900,'CRITICAL_ERROR','critical','something failed that must not fail');
INSERT INTO codes VALUES(901,'SYSTEM_HALT','critical','a bot halted');
INSERT INTO codes VALUES(910,'RECOVERY_START','critical','recovery from a failure began');
INSERT INTO codes VALUES(911,'RECOVERY_OK','critical','recovery from a failure succeeded');
INSERT INTO codes VALUES(920,'POISON_MESSAGE','critical','a message that is no event was quarantined');
INSERT INTO codes VALUES(921,'ID_CONFLICT','critical','one event id came with two payloads');
INSERT INTO codes VALUES(922,'STREAM_ROLLBACK','critical','a stream lost messages that were recorded');
INSERT INTO codes VALUES(923,'CONTRACT_BROKEN','critical','an event whose payload is not what its type promises');
CREATE TABLE events (
    row INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    event_ns INTEGER NOT NULL,
    intended_ns INTEGER NOT NULL,
    stream_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    bot TEXT NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    correlation TEXT NOT NULL,
    trace TEXT NOT NULL,
    headers TEXT NOT NULL,
    payload ANY NOT NULL,
    kind INTEGER NOT NULL
) STRICT;
INSERT INTO events VALUES(1,1,'bot-1/events.v1.state/1','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',1,1,1767225601000000000,1,1,1,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":1}',1);
INSERT INTO events VALUES(2,1,'bot-1/events.v1.state/2','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',2,1,1767225602000000000,2,2,2,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":2}',1);
INSERT INTO events VALUES(3,1,'bot-1/events.v1.state/3','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',3,1,1767225603000000000,3,3,3,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":3}',1);
INSERT INTO events VALUES(4,2,'bot-1/events.v1.state/4','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',4,1,1767225604000000000,4,4,4,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":4}',1);
INSERT INTO events VALUES(5,2,'bot-1/events.v1.state/5','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',5,1,1767225605000000000,5,5,5,'bot-1',602,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":5}',2);
INSERT INTO events VALUES(6,2,'bot-1/events.v1.state/6','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',6,1,1767225606000000000,6,6,6,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":6}',1);
INSERT INTO events VALUES(7,3,'bot-1/events.v1.state/7','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',7,1,1767225607000000000,7,7,7,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":7}',1);
INSERT INTO events VALUES(8,3,'bot-1/events.v1.state/8','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',8,1,1767225608000000000,8,8,8,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
',X'01FF',1);
INSERT INTO events VALUES(9,3,'bot-1/events.v1.state/9','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',9,1,1767225609000000000,9,9,9,'bot-1',101,20,'','','NATS/1.0'||char(13)||'
ce-specversion: 1.0'||char(13)||'
'||char(13)||'
','{"n":9}',1);
CREATE TABLE kinds (
    kind INTEGER PRIMARY KEY, type TEXT NOT NULL, code INTEGER NOT NULL, UNIQUE (type, code)
) STRICT;
INSERT INTO kinds VALUES(1,'qiki.events.v1.StateChange',101);
INSERT INTO kinds VALUES(2,'qiki.events.v1.StateChange',602);
CREATE TABLE marks (batch INTEGER PRIMARY KEY, marks BLOB NOT NULL) STRICT;
INSERT INTO marks VALUES(1,X'D83CBD90BEAADB605BD1C63DAE4A2306F900D7EA94A46C52');
INSERT INTO marks VALUES(2,X'83A12CBA51552FD219432E34C9DBD9A10BB52B700F4CC053');
INSERT INTO marks VALUES(3,X'A76BCD72ECE1ADA0A92A91C2CD077A4B2CBE2FBBBA1D581C');
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO meta VALUES('schema','4');
INSERT INTO meta VALUES('store','a795e7eeeba244c99de5e0b0f106dd06');
INSERT INTO meta VALUES('segment','1');
INSERT INTO meta VALUES('key','cf7614d17f06df25487c4ced6b236a8998c551b3ae80e1688bd7347f734b329a');
INSERT INTO meta VALUES('base','[0,0,0,"0000000000000000000000000000000000000000000000000000000000000000"]');
INSERT INTO meta VALUES('checkpoint','0');
INSERT INTO meta VALUES('previous','0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO meta VALUES('signed','0');
CREATE TABLE notes (
    note INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    recorded_ns INTEGER NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT NOT NULL,
    body BLOB NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
INSERT INTO notes VALUES(1,2,'poison/4',5,920,40,'QIKI_EVENTS_V1',4,'','','','{"reason":"x"}',X'00',X'6905ED237ABA70A0B34995AE95194CCCC5857824A5B1FB7AF4FF031B6D10EB62');
CREATE TABLE rules (hash TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
INSERT INTO rules VALUES('55c714b5d62afab2b9860d74b74457c1d2aee4f69595a97b663e80cc004ac0f8','# From an event to its code. The first rule that matches wins; docs/registrar.md says how to
# write your own. `publish` unset means: fan out from severity WARN on.
version: 1
rules:
  # What is not what the platform''s contracts promise. Not fanned out: who sends one, sends many.
  - {type: "qiki.*", where: {schema_version: {above: 1}}, code: 923, publish: false}
  - subject: qiki.radar.v1.frames
    lacks: [schema_version, frame_id, sensor_id, timestamp, detections]
    code: 923
    publish: false
  - subject: qiki.radar.v1.frames.lr
    lacks: [schema_version, frame_id, sensor_id, timestamp, detections]
    code: 923
    publish: false
  - subject: qiki.radar.v1.tracks.sr
    lacks: [schema_version, frame_id, sensor_id, timestamp, detections]
    code: 923
    publish: false
  - subject: qiki.radar.v1.tracks
    lacks: [schema_version, track_id, range_m, bearing_deg, vr_mps, iff, quality, status, timestamp]
    code: 923
    publish: false
  - subject: qiki.telemetry
    lacks: [schema_version, source, timestamp, position, velocity, attitude, power, thermal]
    code: 923
    publish: false
  - subject: qiki.events.v1.sensor.thermal
    lacks: [schema_version, category, source, subject, ts_epoch, temp, unit]
    code: 923
    publish: false
  - subject: qiki.events.v1.sensor.thermal.trip
    lacks: [schema_version, category, source, subject, ts_epoch, kind, tripped, temp]
    code: 923
    publish: false
  - subject: qiki.events.v1.power.bus
    lacks: [schema_version, category, source, subject, ts_epoch, current, bus_v]
    code: 923
    publish: false
  - subject: qiki.events.v1.power.pdu
    lacks: [schema_version, category, source, subject, ts_epoch, overcurrent, power_out_w]
    code: 923
    publish: false
  - subject: qiki.events.v1.radar.guard
    lacks: [schema_version, category, source, subject, ts_epoch, rule_id, track_id, severity]
    code: 923
    publish: false'||char(10)||char(10)||'  # Changes of state that a bot reports itself, each exactly once per edge.
  - {subject: qiki.events.v1.state, where: {kind: boot_start}, code: 100, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: boot_ok}, code: 101, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: boot_failed}, code: 102}
  - {subject: qiki.events.v1.state, where: {kind: sensor_io_ok}, code: 201, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: sensor_io_failed}, code: 202}
  - {subject: qiki.events.v1.state, where: {kind: power_low, to: cleared}, code: 604, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: power_low}, code: 602}
  - {subject: qiki.events.v1.state, where: {kind: power_critical, to: cleared}, code: 605, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: power_critical}, code: 603}
  - {subject: qiki.events.v1.state, where: {kind: load_shed}, code: 610}
  - {subject: qiki.events.v1.state, where: {kind: load_restored}, code: 611, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: [pdu_overcurrent, pdu_fault], to: cleared}, code: 622, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: pdu_overcurrent}, code: 620}
  - {subject: qiki.events.v1.state, where: {kind: pdu_fault}, code: 621}
  - {subject: qiki.events.v1.state, where: {kind: thermal_trip}, code: 710}
  - {subject: qiki.events.v1.state, where: {kind: thermal_clear}, code: 711, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: mode, to: ERROR}, code: 120, severity: ERROR}
  - {subject: qiki.events.v1.state, where: {kind: mode, to: SAFE_MODE}, code: 120, severity: WARN}
  - {subject: qiki.events.v1.state, where: {kind: mode, to: SHUTDOWN}, code: 120, severity: WARN}
  - {subject: qiki.events.v1.state, where: {kind: mode}, code: 120, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: dock}, code: 320, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: comms, to: online}, code: 421, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: comms, to: [inactive, blocked]}, code: 420}
  - {subject: qiki.events.v1.state, where: {kind: comms}, code: 422, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: radiation, to: critical}, code: 712, severity: CRITICAL}
  - {subject: qiki.events.v1.state, where: {kind: radiation, to: normal}, code: 713, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: radiation}, code: 712}
  - {subject: qiki.events.v1.state, where: {kind: shield, to: critical}, code: 812, severity: CRITICAL}
  - {subject: qiki.events.v1.state, where: {kind: shield, to: low}, code: 812}
  - {subject: qiki.events.v1.state, where: {kind: shield}, code: 813, publish: true}
  - {subject: qiki.events.v1.state, where: {kind: event_shed}, code: 430}
  - {subject: qiki.events.v1.state, where: {kind: guard_alert}, code: 810}
  - {subject: qiki.events.v1.state, where: {kind: guard_clear}, code: 811, publish: true}'||char(10)||char(10)||'  # Edges that have a subject of their own.
  - {type: qiki.events.v1.ThermalTrip, where: {kind: thermal_trip}, code: 710}
  - {type: qiki.events.v1.ThermalTrip, where: {kind: thermal_clear}, code: 711, publish: true}
  - {type: qiki.events.v1.RadarGuardAlert, where: {severity: CRITICAL}, code: 810, severity: CRITICAL}
  - {type: qiki.events.v1.RadarGuardAlert, where: {severity: ERROR}, code: 810, severity: ERROR}
  - {type: qiki.events.v1.RadarGuardAlert, code: 810}
  - {type: qiki.events.v1.SystemMode, code: 121, publish: true}'||char(10)||char(10)||'  # Health: the power-on self-test, repeated.
  - {type: qiki.events.v1.BiosStatus, where: {all_systems_go: true}, code: 701}
  - {type: qiki.events.v1.BiosStatus, code: 702}
  - {subject: qiki.events.v1.bios_status, where: {all_systems_go: true}, code: 701}
  - {subject: qiki.events.v1.bios_status, code: 702}'||char(10)||char(10)||'  # Readings.
  - {type: "qiki.radar.v1.*Frame", code: 210}
  - {type: qiki.radar.v1.Track, code: 211}
  - {type: qiki.telemetry.v1.Snapshot, code: 220}
  - {type: qiki.events.v1.SensorReading, where: {source: thermal}, code: 720}
  - {type: qiki.events.v1.SensorReading, code: 221}
  - {type: qiki.events.v1.PowerPduStatus, where: {overcurrent: 1}, code: 631, severity: WARN, publish: false}
  - {type: qiki.events.v1.PowerPduStatus, code: 631}
  - {type: qiki.events.v1.PowerBusReading, code: 630}
  - {type: qiki.events.v1.EnergyStatus, code: 632}
  - {type: qiki.events.v1.ShieldStatus, code: 820}
  - {type: qiki.events.v1.NavState, code: 510}'||char(10)||char(10)||'  # Commands and their answers.
  - {type: qiki.commands.v1.Control, code: 310}
  - {type: qiki.commands.v1.ThrusterCmd, code: 330}
  - {type: qiki.commands.v1.ModeCmd, code: 331}
  - {type: qiki.commands.v1.ProtocolCmd, code: 332}
  - {type: qiki.responses.v1.Control, where: {ok: false}, code: 312}
  - {type: qiki.responses.v1.Control, code: 311}
');
CREATE TABLE severities (severity INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO severities VALUES(10,'DEBUG');
INSERT INTO severities VALUES(20,'INFO');
INSERT INTO severities VALUES(30,'WARN');
INSERT INTO severities VALUES(40,'ERROR');
INSERT INTO severities VALUES(50,'CRITICAL');
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, covered INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO streams VALUES('QIKI_EVENTS_V1',9,0);
CREATE TABLE tombstones (
    tombstone INTEGER PRIMARY KEY, statement TEXT NOT NULL, signature BLOB NOT NULL
) STRICT;
CREATE INDEX events_bot ON events (row >> 14, bot, event_ns);
CREATE INDEX events_correlation ON events (correlation) WHERE correlation != '';
CREATE INDEX events_key ON events (row >> 14, id);
CREATE INDEX events_kind ON events (kind, event_ns);
CREATE INDEX events_severe ON events (event_ns) WHERE severity >= 30;
CREATE INDEX events_stream ON events (stream_seq);
CREATE INDEX events_time ON events (event_ns);
CREATE INDEX events_trace ON events (trace) WHERE trace != '';
CREATE VIEW audit AS
SELECT e.row, e.id, e.source, e.type, e.subject, e.bot, e.code, c.name, c.category,
    s.name AS severity, e.stream, e.stream_seq, e.deliveries,
    strftime('%Y-%m-%dT%H:%M:%S', e.event_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', e.event_ns % 1000000000) AS event_time,
    strftime('%Y-%m-%dT%H:%M:%S', b.committed_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', b.committed_ns % 1000000000) AS committed_time,
    e.correlation, e.trace, e.payload, e.headers, b.batch, b.rules, b.version
FROM events e JOIN batches b USING (batch)
LEFT JOIN codes c USING (code) LEFT JOIN severities s ON s.severity = e.severity;
