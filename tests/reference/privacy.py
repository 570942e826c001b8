"""Privacy loss of DP-SGD from Opacus' accountants and from high-precision integrals, without any code of medrepro.

Run in an environment with opacus, mpmath and scipy: python privacy.py      (writes privacy.json beside this file)
"""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path

import mpmath as mp
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis import gdp, rdp

RUNS = [(1.1, 0.01, 1000, 1e-5), (0.5, 0.1, 200, 1e-5), (2.0, 0.02, 5000, 1e-6), (0.8, 0.004, 3000, 1e-5)]
ORDERS = [1.1, 1.5, 2, 2.7, 5, 9.3, 16, 32, 64]
mp.mp.dps = 40


def divergence(order, noise, rate):
    """Renyi divergence of one step, by adaptive quadrature with 40 digits."""
    order, noise, rate = mp.mpf(str(order)), mp.mpf(str(noise)), mp.mpf(str(rate))

    def integrand(z):
        ratio = 1 - rate + rate * mp.exp((2 * z - 1) / (2 * noise**2))
        return mp.npdf(z, 0, noise) * ratio**order

    ends = [-20 * noise + k * (order + 40 * noise) / 60 for k in range(61)]
    return float(mp.log(mp.quad(integrand, ends)) / (order - 1))


out = {
    "made_by": "tests/reference/privacy.py",
    "date": date.today().isoformat(),
    "versions": {p: version(p) for p in ("opacus", "mpmath")},
    "runs": [],
    "divergence": [],
}
for noise, rate, steps, delta in RUNS:
    accountant = PRVAccountant()
    accountant.history = [(noise, rate, steps)]
    orders = [1 + i / 10 for i in range(1, 100)] + list(range(11, 64)) + [72, 96, 128, 192, 256, 512, 1024]
    renyi = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=orders)
    found, order = rdp.get_privacy_spent(orders=orders, rdp=renyi, delta=delta)
    central = gdp.compute_eps_poisson(steps=steps, noise_multiplier=noise, sample_rate=rate, delta=delta)
    out["runs"].append({
        "run": [noise, rate, steps, delta],
        "rdp": float(found),
        "order": float(order),
        "prv": float(accountant.get_epsilon(delta)),
        "gdp": float(central),
    })  # fmt: skip
for noise, rate in ((1.0, 0.01), (0.5, 0.2), (0.1, 0.05), (4.0, 0.5)):
    values = [divergence(order, noise, rate) for order in ORDERS]
    out["divergence"].append({"noise": noise, "rate": rate, "orders": ORDERS, "values": values})
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
