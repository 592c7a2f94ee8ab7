// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DayEntry, MAX_WINDOW_DAYS, MeterState, RecordKind} from "../types/EnergyRecord.sol";
import {EnergyWordsLib} from "./EnergyWordsLib.sol";

/// @title WindowLib
/// @notice Net energy of the last days, kept up to date: what enters is added, what leaves is taken off.
/// @dev A ring of one word a day. An entry says its day itself, so that days without an entry need not be cleared: what stands
/// in their place is older and does not count. After each step
/// `netWh = sum of netWh over counting entries of days in (day - window, day]`, and `attestedDays` is their number.
library WindowLib {
    using EnergyWordsLib for DayEntry;

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
    function counts(DayEntry memory e, uint256 day, uint256 fromDay) internal pure returns (bool) {
        return e.day == day && day >= fromDay && e.kind != RecordKind.None && e.kind != RecordKind.Gap;
    }

    /// @notice Moves the window one day on and puts that day in. Changes `s` in memory only.
    function pushDay(
        DayEntry[MAX_WINDOW_DAYS] storage ring,
        MeterState memory s,
        DayEntry memory entry,
        uint256 window
    ) internal {
        DayEntry storage place = ring[uint256(entry.day) % window];
        _drop(place, s, uint256(entry.day), window);
        s.netWh += entry.netWh;
        ++s.attestedDays;
        s.day = entry.day;
        place.store(entry);
    }

    /// @notice Moves the window to `entry.day`, with nothing for the days in between. Reads at most `window` words.
    function pushGap(
        DayEntry[MAX_WINDOW_DAYS] storage ring,
        MeterState memory s,
        DayEntry memory entry,
        uint256 window
    ) internal {
        uint256 last = s.day;
        if (entry.day - last >= window) {
            (s.netWh, s.attestedDays) = (0, 0);
        } else {
            for (uint256 day = last + 1; day <= entry.day; ++day) {
                _drop(ring[day % window], s, day, window);
            }
        }
        s.day = entry.day;
        ring[uint256(entry.day) % window].store(entry);
    }

    /// @dev What stands in the place of `day` leaves the window if it is exactly one window older.
    function _drop(DayEntry storage place, MeterState memory s, uint256 day, uint256 window) private view {
        if (day < window) return;
        DayEntry memory old = place.load();
        if (!counts(old, day - window, s.fromDay)) return;
        s.netWh -= old.netWh;
        --s.attestedDays;
    }
}
