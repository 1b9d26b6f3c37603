#!/usr/bin/env python3
"""Numbers of scikit-learn that the tests of `src/probe` compare with.

    probe_values.py DIGITS

DIGITS is `data/digits.csv.gz`: pixels 0..16 and a label in each line. The first 1,000 items train, the
last 797 test; pixels are divided by 16.
"""

import sys

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

table = np.loadtxt(sys.argv[1], delimiter=",")
features, labels = table[:, :64] / 16, table[:, 64].astype(int)
train, test = features[:1000], features[1000:]
known, truth = labels[:1000], labels[1000:]

for k in 1, 5, 20:
    model = KNeighborsClassifier(k, algorithm="brute").fit(train, known)
    print(f"kNN, L2, k = {k}: {(model.predict(test) == truth).sum()} right")
targets = np.stack([known, known > 4], axis=1).astype(float)
means = KNeighborsRegressor(5, metric="cosine").fit(train, targets).predict(test)
print("kNN regression, cosine, k = 5: sums", means.sum(0), "first", means[0])
