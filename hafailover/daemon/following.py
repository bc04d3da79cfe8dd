"""When routes and rules follow a group's addresses: laid when it serves and has all, lifted before any goes.

Until the cloud has confirmed a claim they would lead the node's own calls to it out with an address that is still
another's. What is in their way is looked for before that, though, for after a move it would be too late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.guest.virtual import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.config.model import Group
    from hafailover.election.effects import RoleChanged
    from hafailover.election.values import GroupName, Resource
    from hafailover.guest.network import GuestNetwork, Link


class Following:
    """What follows the addresses of one daemon's groups. All that asks the guest raises GuestError."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._there: set[str] = set()
        self._serving: set[str] = set()
        self._lifted: set[str] = set()  # an earlier run may have left what follows the addresses of the others
        self.laid: set[str] = set()

    def unsure(self, resource: Resource) -> None:
        """Take in that the guest is asked for an address, or to let it go."""
        self._there.discard(resource.id)

    def there(self, resource: Resource) -> None:
        """Take in that the guest has an address."""
        self._there.add(resource.id)

    def role_changed(self, effect: RoleChanged) -> bool:
        """Take in whether a group serves; return whether something may be to be laid."""
        if not effect.new.serves:
            self._serving.discard(effect.group)
            return False
        self._serving.add(effect.group)
        return bool(self._groups[effect.group].followers) and not effect.old.serves

    def dismissed(self, name: str) -> None:
        """Take in that a group has gone; what follows addresses that stay is left there too."""
        for known in (self._serving, self._lifted, self.laid):
            known.discard(name)

    async def judge(self, name: GroupName, guest: GuestNetwork, link: Link) -> None:
        """See that nothing is in the way of what is to follow, touching nothing."""
        if self._groups[name].followers:
            refuse(await guest.lacking(self._groups[name], link))

    async def lay(self, name: GroupName, guest: GuestNetwork, link: Link) -> None:
        """Have what follows the addresses of a group, if it is time for that."""
        if not self._due(name):
            return
        self._lifted.discard(name)
        try:
            await guest.lay(self._groups[name], link)
        finally:
            self._lifted.discard(name)  # a lift that was under way has ended meanwhile
        if self._due(name):
            self.laid.add(name)

    def _due(self, name: GroupName) -> bool:
        group = self._groups[name]
        return bool(group.followers) and name in self._serving and self._there.issuperset(group.addresses)

    async def lift(self, name: GroupName, guest: GuestNetwork) -> None:
        """Take off what follows the addresses of a group, of which one is about to go."""
        self.laid.discard(name)
        if self._groups[name].followers and name not in self._lifted:
            await guest.lift(self._groups[name])
            self._lifted.add(name)
