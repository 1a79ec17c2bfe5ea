"""Servicing a machine: the order of the steps of an installation, an update, a commit, a rollback.

    configuration, status, facts ─▶ decide, select, storage, boot (pure) ─▶ the steps of this folder ─▶ status

Each command is a module. What they share: `machine` (facts), `ledger` (status and transitions), `job` (what is being
done), `stage` and `configure` (writing a system), `boot` (the machine's ESP and firmware).
"""
