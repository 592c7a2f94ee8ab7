// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Status, Ending} from "../types/Status.sol";
import {IWorkerDispatcher} from "./IWorkerDispatcher.sol";

/// @notice What a kind asks of a purchase.
struct Quote {
    /// Most that the agreement can spend, smallest token unit.
    uint96 budget;
    uint16 classId;
    /// Distinct workers that the class must hold besides the client.
    uint16 workers;
    /// Active stake that the class must hold, smallest token unit.
    uint256 stake;
}

/// @title IWorkAgreement
/// @notice One purchase: the part that every kind of work shares.
interface IWorkAgreement {
    /// @notice The one status changed; `deadline` (Unix seconds, 0 for none) is when `expire` may move it on.
    event StatusChanged(Status indexed status, uint8 attempt, uint40 deadline);
    /// @notice The agreement ended.
    event Ended(Ending ending);

    error WrongStatus(Status found, Status expected);
    error TooLate(uint256 now_, uint256 deadline);
    error NotYetExpired(uint256 now_, uint256 deadline);
    error NotTheDispatcher(address caller);

    /// @notice Checks the packed terms and says what they need. Reverts with the reason when they cannot be bought.
    /// @dev Called on the implementation, before the clone is made.
    function quote(bytes calldata terms) external view returns (Quote memory);

    /// @notice The dispatcher accepts for `actor`, who takes a signed order: it bought and accepts in one transaction.
    function acceptFor(address actor) external;

    /// @notice The dispatcher has put `amount` of `from` into this agreement's escrow. For compute: `what` is empty for an
    /// addition to the reward, or the four bytes of a leaf that is disputed (level 0: rejected).
    function funded(address from, uint96 amount, bytes calldata what) external;

    /// @notice A drawn verifier gives its verdict; for compute: the seal over its digests.
    function provideVerification(bytes32 verdict) external;

    /// @notice Pays out what `party` (an identity or an account) has earned anywhere, after moving this agreement on if
    /// its deadline has passed. Anyone may call, it is harmless to call twice.
    function redeemPayment(address party) external returns (uint256 amount);

    /// @notice Moves the agreement on when its deadline has passed. Anyone may call.
    function expire() external;

    /// @notice The status as of this block: a closed claim window counts as Verifying.
    function status() external view returns (Status);

    /// @notice How it ended, or None.
    function ending() external view returns (Ending);

    /// @notice Where its money and its parties' stake are.
    function dispatcher() external view returns (IWorkerDispatcher);

    /// @notice Who bought it.
    function client() external view returns (address);
}
