// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DayEntry, MAX_WINDOW_DAYS, RecordKind} from "../types/EnergyRecord.sol";
import {DayWord, EnergyWordsLib, MeterWord} from "./EnergyWordsLib.sol";

/// @title WindowLib
/// @notice Net energy of the last days, kept up to date: what enters is added, what leaves is taken off.
/// @dev A ring of one word a day. An entry says its day itself, so that days without an entry need not be cleared: what stands
/// in their place is older and does not count. After each step
/// `netWh = sum of netWh over counting entries of days in (day - window, day]`, and `attestedDays` is their number.
///
/// Unchecked: a day's net is within 2^23 either way (96 counts of two bytes), a window of 64 days within 2^29; a number of a day
/// below the window's length wraps to one that no entry has.
library WindowLib {
    using EnergyWordsLib for DayEntry;
    using EnergyWordsLib for DayWord;
    using EnergyWordsLib for MeterWord;

    /// @notice What the ring holds of `day`; empty if it is of another day.
    function entryOf(DayEntry[MAX_WINDOW_DAYS] storage ring, uint256 day, uint256 window)
        internal
        view
        returns (DayEntry memory e)
    {
        e = ring[day % window].load();
        if (e.day != day) delete e;
    }

    /// @notice Whether an entry read for `day` adds to the window.
    function counts(DayWord e, uint256 day, uint256 fromDay) internal pure returns (bool) {
        uint256 kind = e.kind();
        return e.day() == day && day >= fromDay && kind != uint256(RecordKind.None)
            && kind != uint256(RecordKind.Gap);
    }

    /// @notice Puts the day after the window's last one in.
    /// @return attested Days with counts in the window that ends with it.
    /// @return net Its energy.
    function pushDay(DayEntry[MAX_WINDOW_DAYS] storage ring, MeterWord s, DayWord entry, uint256 window)
        internal
        returns (uint256 attested, int256 net)
    {
        unchecked {
            uint256 day = entry.day();
            DayEntry storage place = ring[day % window];
            DayWord old = place.word();
            (attested, net) = (s.attestedDays() + 1, s.netWh() + entry.netWh());
            if (counts(old, day - window, s.fromDay())) {
                (attested, net) = (attested - 1, net - old.netWh());
            }
            place.setWord(entry);
        }
    }

    /// @notice Moves the window to the entry's day, with nothing for the days in between. Reads at most `window` words.
    function pushGap(DayEntry[MAX_WINDOW_DAYS] storage ring, MeterWord s, DayWord entry, uint256 window)
        internal
        returns (uint256 attested, int256 net)
    {
        unchecked {
            uint256 last = entry.day();
            uint256 day = s.day();
            if (last - day < window) {
                (attested, net) = (s.attestedDays(), s.netWh());
                while (++day <= last) {
                    DayWord old = ring[day % window].word();
                    if (counts(old, day - window, s.fromDay())) {
                        (attested, net) = (attested - 1, net - old.netWh());
                    }
                }
            }
            ring[last % window].setWord(entry);
        }
    }
}
