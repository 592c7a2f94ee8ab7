//! Bytes recorded from real devices, from github.com/karioja/vedirect, `test/` (MIT licence, copyright (c) 2020 Janne Kario):
//! `bluesolar_1.23.dump`, `smartsolar_1.39.dump`, `bvm702.dump`. Excerpts of whole blocks.

/// Three blocks of a BlueSolar charger, a HEX message between the first two.
pub const BLUESOLAR: &[&[u8]] = &[
    b"\r\nPID\t0xA042\r\nFW\t123\r\nSER#\tHQ1411MYIKN\r\nV\t12540\r\nI\t650\r\nVPV\t32790\r\nPPV\t8\r\nCS\t3\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t8272\r\nH20\t0\r\nH21\t11\r\nH22\t25\r\nH23\t119\r\nHSDS\t274\r\nChecksum\t\xaa",
    b":A501000000000000000000000ED04C6040000000000C200000000000B0000000900C80D120172\n",
    b"\r\nPID\t0xA042\r\nFW\t123\r\nSER#\tHQ1411MYIKN\r\nV\t12540\r\nI\t620\r\nVPV\t34890\r\nPPV\t8\r\nCS\t3\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t8272\r\nH20\t0\r\nH21\t11\r\nH22\t25\r\nH23\t119\r\nHSDS\t274\r\nChecksum\t\xaa",
    b"\r\nPID\t0xA042\r\nFW\t123\r\nSER#\tHQ1411MYIKN\r\nV\t12540\r\nI\t600\r\nVPV\t32680\r\nPPV\t8\r\nCS\t3\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t8272\r\nH20\t0\r\nH21\t11\r\nH22\t25\r\nH23\t119\r\nHSDS\t274\r\nChecksum\t\xb1",
];
/// Two blocks of a SmartSolar charger at night.
pub const SMARTSOLAR: &[&[u8]] = &[
    b"\r\nPID\t0xA05F\r\nFW\t139\r\nSER#\tHQ18486U2B4\r\nV\t12730\r\nI\t-10\r\nVPV\t10\r\nPPV\t0\r\nCS\t0\r\nMPPT\t0\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t0\r\nH20\t0\r\nH21\t0\r\nH22\t0\r\nH23\t0\r\nHSDS\t0\r\nChecksum\t\xe3",
    b"\r\nPID\t0xA05F\r\nFW\t139\r\nSER#\tHQ18486U2B4\r\nV\t12720\r\nI\t-10\r\nVPV\t10\r\nPPV\t0\r\nCS\t0\r\nMPPT\t0\r\nERR\t0\r\nLOAD\tON\r\nIL\t0\r\nH19\t0\r\nH20\t0\r\nH21\t0\r\nH22\t0\r\nH23\t0\r\nHSDS\t0\r\nChecksum\t\xe4",
];
/// Four blocks of a BMV-702 battery monitor: readings and history in turn.
pub const BMV702: &[&[u8]] = &[
    b"\r\nPID\t0x203\r\nV\t12169\r\nI\t-2661\r\nP\t-32\r\nCE\t-66032\r\nSOC\t837\r\nTTG\t3415\r\nAlarm\tOFF\r\nRelay\tOFF\r\nAR\t0\r\nBMV\t700\r\nFW\t0308\r\nChecksum\tS",
    b"\r\nH1\t-149322\r\nH2\t-82854\r\nH3\t0\r\nH4\t0\r\nH5\t0\r\nH6\t-5526852\r\nH7\t11733\r\nH8\t16161\r\nH9\t368454\r\nH10\t26\r\nH11\t0\r\nH12\t0\r\nH17\t6843\r\nH18\t8527\r\nChecksum\t\xb2",
    b"\r\nPID\t0x203\r\nV\t12169\r\nI\t-2684\r\nP\t-33\r\nCE\t-66033\r\nSOC\t837\r\nTTG\t3416\r\nAlarm\tOFF\r\nRelay\tOFF\r\nAR\t0\r\nBMV\t700\r\nFW\t0308\r\nChecksum\tK",
    b"\r\nH1\t-149322\r\nH2\t-82854\r\nH3\t0\r\nH4\t0\r\nH5\t0\r\nH6\t-5526853\r\nH7\t11733\r\nH8\t16161\r\nH9\t368455\r\nH10\t26\r\nH11\t0\r\nH12\t0\r\nH17\t6843\r\nH18\t8527\r\nChecksum\t\xb0",
];
